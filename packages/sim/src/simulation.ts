import type { Plan } from "headrace"
import { allOut, check } from "./checker.ts"
import type { Group } from "./group.ts"
import { askIn, Inputs } from "./inputs.ts"
import type { Txn } from "./log.ts"
import { nameOf } from "./log.ts"
import { Node } from "./node.ts"
import { planOf, SHAPES, type Shape } from "./pipelines.ts"
import type { Sabotage } from "./sabotage.ts"
import { type Saved, Saving } from "./saving.ts"
import type { SimSource } from "./source.ts"
import { TableNode } from "./table-node.ts"
import { type Warehouse, warehouseOf } from "./warehouse.ts"
import { type Fault, MAX_LANES, World } from "./world.ts"

const TRANSACTION_TIMEOUT_MS = 10_000
/** Steps with faults at most, and steps in which everything must have come to rest afterwards. */
const FAULTY_STEPS = 1_500
const DRAIN_STEPS = 12_000
/** Against 1 for its being thrown out by the group. */
const THAW_WEIGHT = 0.3
/** The number of the halt in which a run ends: no other one has it. */
const LAST_HALT = -1
/** For so long a coordinator answers with what it once knew; less than lanes and sinks wait. */
const FORGOTTEN_MS = 10_000

export interface Options {
  readonly seed: number
  readonly shape?: Shape
  readonly sabotage?: Sabotage
  readonly print?: (line: string) => void
}

export interface Result {
  readonly seed: number
  readonly shape: Shape
  readonly steps: number
  readonly violations: readonly string[]
  /** How often what went wrong. */
  readonly injected: ReadonlyMap<Fault, number>
  /** Of everything that happened: equal for equal seeds. */
  readonly digest: number
}

/** What may be killed. */
interface Process {
  readonly name: string
  readonly alive: boolean
  readonly source: SimSource
  readonly kill: () => void
  readonly stop: () => void
}

interface Candidate {
  readonly label: string
  readonly weight: number
  readonly run: () => void
}

/** One seed: lanes work while things go wrong, then faults stop, everything drains, and the outputs are judged. */
export const simulate = (options: Options): Result => new Simulation(options).run()

class Simulation {
  private readonly options: Options
  private readonly world: World
  private readonly shape: Shape
  private readonly plan: Plan
  private readonly slots: (Node | undefined)[]
  private readonly tables: (TableNode | undefined)[]
  private incarnations = 0
  private readonly inputs: Inputs
  private readonly saving: Saving
  private digest = 0

  constructor(options: Options) {
    this.options = options
    this.world = new World(options.seed, options.sabotage, options.print)
    const { random } = this.world
    const shape = random.pick(SHAPES)
    this.shape = options.shape ?? shape
    this.plan = planOf(this.shape, askIn(this.world))
    this.world.open(this.plan)
    this.world.warehouse = warehouseOf(this.world, this.plan)
    this.slots = Array.from({ length: random.int(1, MAX_LANES) })
    this.tables = Array.from({ length: this.world.warehouse === undefined ? 0 : random.int(1, 2) })
    this.inputs = new Inputs(this.world)
    this.saving = new Saving(this.world, this.plan, this.savedJob())
  }

  /** What a savepoint has to do with it. */
  private savedJob(): Saved {
    const told = new WeakMap<Node, number>()
    const alive = () => this.slots.flatMap(node => (node?.alive ? [node] : []))
    return {
      inputs: this.inputs,
      consumed: () => this.consumed(),
      atRest: () => this.atRest(),
      gone: () => alive().length === 0,
      halt: halt => {
        for (const node of alive()) if (told.get(node) !== halt.number) node.halt(halt)
        for (const node of alive()) told.set(node, halt.number)
      },
      resume: () => {
        for (const node of alive()) node.resume()
      },
      stop: () => {
        for (const node of alive()) node.stop()
      }
    }
  }

  run(): Result {
    const { world } = this
    world.trace(`shape ${this.shape}, ${this.slots.length} lanes, ${world.inputs().length} partitions`)
    const goesOn = () => this.saving.active || (world.step < FAULTY_STEPS && !this.finished())
    while (world.violations.length === 0 && goesOn()) {
      this.saving.advance()
      this.turn(this.saving.faulty, this.saving.starting)
    }
    world.trace("faults stop")
    world.calm()
    const limit = world.step + DRAIN_STEPS
    while (world.step < limit && world.violations.length === 0 && !this.finished()) this.turn(false)
    this.stopAll()
    if (world.violations.length === 0) for (const what of check(world, this.plan, this.shape)) world.violation(what)
    const { seed } = this.options
    const { step, violations, injected } = world
    return { seed, shape: this.shape, steps: step, violations, injected, digest: this.digest }
  }

  /** Everything that came in is committed, and no window is in the middle of its firing. */
  private finished(): boolean {
    return this.inputs.left === 0 && this.consumed()
  }

  /** The same of what has come in so far. */
  private consumed(): boolean {
    const { log } = this.world
    if (!this.quiet() || this.world.warehouse?.filled === false) return false
    if (this.shape === "alarms" && !allOut(this.world)) return false
    return this.world.consumed().every(input => {
      const last = input.all().at(-1)
      return last === undefined || (log.committedOffset(nameOf(input)) === last.offset + 1 && !this.waiting())
    })
  }

  /** Every partition runs somewhere, its lane has nothing left to do, and all that live say that they do their part. */
  private quiet(): boolean {
    const alive = this.slots.filter(node => node?.alive)
    const running = new Set(alive.flatMap(node => node!.running()))
    const ready = [...alive, ...this.tables.filter(table => table?.alive)].every(one => one!.ready)
    return ready && running.size === this.world.consumed().length && alive.every(node => node!.idle)
  }

  private atRest(): boolean {
    const alive = this.slots.filter(node => node?.alive)
    return alive.reduce((sum, node) => sum + node!.halted, 0) === this.world.consumed().length
  }

  /** Outputs that have not left the lanes yet show in transactions that are still open. */
  private waiting(): boolean {
    return this.world.log.anyOpen()
  }

  /** A clean end: each lane settles, gives its partitions back and leaves. With stages, of every second seed: it drains before. */
  private stopAll(): void {
    const { world } = this
    if (world.violations.length > 0) return
    if (!this.finished()) return world.violation(`stalled: ${this.state()}`)
    const nodes = [...this.slots, ...this.tables]
    world.drained = world.staged && this.options.seed % 2 === 0
    const limit = world.step + DRAIN_STEPS
    if (world.drained) {
      for (const node of this.slots) if (node?.alive) node.halt({ number: LAST_HALT, drain: true })
      while (!this.atRest() && world.step < limit && world.violations.length === 0) this.turn(false, false)
      if (!this.atRest()) return world.violation(`it did not come to rest: ${this.state()}`)
    }
    for (const node of this.slots) if (node?.alive) node.stop()
    for (const table of this.tables) if (table?.alive) table.stop()
    const running = () =>
      nodes.some(node => node?.alive) || world.log.anyOpen() || world.warehouse?.server.quiet === false
    while (running() && world.step < limit && world.violations.length === 0) this.turn(false, false)
    if (running()) world.violation(`lanes did not stop: ${this.state()}`)
  }

  private state(): string {
    const { world } = this
    const committed = world
      .consumed()
      .map(input => `${nameOf(input)} ${world.log.committedOffset(nameOf(input))} of ${input.lso()}`)
    const { warehouse } = world
    const table = warehouse === undefined ? "" : `; ledger ${JSON.stringify([...warehouse.table.ledger])}`
    return `${committed.join(", ")}${table}; under way: ${world.calls.map(call => call.label).join(" | ")}`
  }

  // ── one step ───────────────────────────────────────────────────────────────────────────────────────────────────

  private turn(faulty: boolean, starting = true): void {
    const { world } = this
    const { random } = world
    world.step++
    const candidates = this.candidates(faulty, starting)
    world.now += random.chance(0.02) ? random.int(20, 400) : random.next() * 6
    if (faulty && random.chance(world.faults.kill / 100)) this.jump()
    if (candidates.length === 0) return
    const chosen = weighted(candidates, random.next())
    world.trace(chosen.label)
    for (let i = 0; i < chosen.label.length; i++)
      this.digest = (Math.imul(this.digest, 31) + chosen.label.charCodeAt(i)) | 0
    chosen.run()
    world.drain()
  }

  /** Everything stood still for longer than a transaction may be open. */
  private jump(): void {
    this.world.now += TRANSACTION_TIMEOUT_MS
    this.world.inject("clock jumped")
  }

  private candidates(faulty: boolean, starting: boolean): Candidate[] {
    const { world } = this
    const list: Candidate[] = []
    for (const call of world.calls) {
      if (call.due > world.now || world.isFrozen(call.owner) || !call.ready()) continue
      const run = () => {
        world.cancel(call)
        call.run()
      }
      list.push({ label: call.label, weight: call.weight, run })
    }
    for (const txn of world.log.ending) this.markers(txn, list)
    this.outside(list)
    this.lanes(list, faulty, starting)
    if (world.warehouse !== undefined) this.table(world.warehouse, list, faulty, starting)
    return list
  }

  private markers(txn: Txn, list: Candidate[]): void {
    const { log, random } = this.world
    const targets = log.markers(txn)
    if (targets.length === 0) return
    const target = random.pick(targets)
    const where = target === undefined ? "offsets" : nameOf(target)
    const run = () => log.mark(txn, target)
    list.push({ label: `marker ${txn.transactionalId} ${txn.outcome} ${where}`, weight: 4, run })
  }

  private outside(list: Candidate[]): void {
    const { world } = this
    const { log, group } = world
    for (const id of log.expired(world.now, TRANSACTION_TIMEOUT_MS))
      list.push({ label: `time-out ${id}`, weight: 3, run: this.faulty("transaction timed out", () => log.fence(id)) })
    if (this.inputs.left > 0 && !this.inputs.paused)
      list.push({ label: "input", weight: 2, run: () => this.inputs.add() })
    this.members(group, this.slots, list)
    this.coordinator(list)
    this.disk(list)
  }

  /** Goes back to what it knew earlier, until it has read its log to the end. */
  private coordinator(list: Candidate[]): void {
    const { world } = this
    if (world.faults.rebalance === 0) return
    const memories = [world.remembered, world.warehouse?.remembered]
    const goBack = () => {
      for (const memory of memories) memory?.goBack()
      const recall = () => this.recall()
      world.call(undefined, "offsets recalled", recall, { due: world.now + world.random.int(1, FORGOTTEN_MS) })
    }
    const keep = () => {
      for (const memory of memories) memory?.keep()
    }
    list.push({ label: "offsets kept", weight: 0.3, run: keep })
    if (!world.remembered.gone)
      list.push({ label: "offsets forgotten", weight: 0.3, run: this.faulty("offsets forgotten", goBack) })
  }

  private recall(): void {
    this.world.remembered.recall()
    this.world.warehouse?.remembered.recall()
  }

  /** What happens to the members of a group apart from what they do. */
  private members(group: Group, nodes: readonly (Process | undefined)[], list: Candidate[]): void {
    const { faults } = this.world
    if (faults.rebalance > 0)
      list.push({
        label: "rebalance",
        weight: faults.rebalance,
        run: this.faulty("rebalance", () => group.rebalance())
      })
    for (const member of group.members.values()) {
      const node = nodes.find(one => one?.name === member.name)
      const there = node?.alive === true && !this.world.isFrozen(node)
      if (there && member.epoch !== group.epoch)
        list.push({ label: `heartbeat ${member.name}`, weight: 1, run: () => node.source.heartbeat() })
      const weight = there ? faults.kill / 2 : 1
      const run = this.faulty("member expired", () => group.leave(member.name, member.incarnation))
      if (weight > 0) list.push({ label: `expire ${member.name}`, weight, run })
    }
  }

  private lanes(list: Candidate[], faulty: boolean, starting: boolean): void {
    const { world, plan } = this
    this.lifecycle(this.slots, "i", slot => new Node(world, plan, slot, ++this.incarnations), list, faulty, starting)
    for (const node of this.slots) {
      if (!node?.alive || world.isFrozen(node)) continue
      const weight = faulty ? world.faults.kill / 2 : 0
      const set = this.faulty("clock set", () => node.stepClock())
      if (weight > 0) list.push({ label: `clock of ${node.name} set`, weight, run: set })
      if (starting && !node.checkpointing)
        list.push({ label: `checkpoint ${node.name}`, weight: 0.3, run: () => node.checkpoint() })
      if (starting && world.standby && !node.following)
        list.push({ label: `follow ${node.name}`, weight: 0.3, run: () => node.follow() })
      if (node.aligns && !node.looking)
        list.push({ label: `look elsewhere ${node.name}`, weight: 0.3, run: () => node.look() })
    }
  }

  private table(warehouse: Warehouse, list: Candidate[], faulty: boolean, starting: boolean): void {
    const { world } = this
    const make = (slot: number) => new TableNode(world, warehouse, slot, ++this.incarnations)
    this.lifecycle(this.tables, "t", make, list, faulty, starting)
    this.members(warehouse.group, this.tables, list)
    const { server } = warehouse
    if (world.faults.server === 0) return
    if (server.down) list.push({ label: "server up", weight: 0.5, run: () => server.start() })
    else
      list.push({
        label: "server down",
        weight: world.faults.server / 5,
        run: this.faulty("server down", () => server.stop())
      })
  }

  /** Processes start, are killed and stopped. */
  private lifecycle<A extends Process>(
    slots: (A | undefined)[],
    prefix: string,
    make: (slot: number) => A,
    list: Candidate[],
    faulty: boolean,
    starting: boolean
  ): void {
    const { kill } = this.world.faults
    for (let slot = 0; slot < slots.length; slot++) {
      const node = slots[slot]
      if (!node?.alive) {
        const run = () => {
          slots[slot] = make(slot)
        }
        if (starting) list.push({ label: `start ${prefix}${slot}`, weight: 1, run })
        continue
      }
      if (!faulty || kill === 0) continue
      list.push({ label: `kill ${node.name}`, weight: kill, run: this.faulty("kill", () => node.kill()) })
      list.push({ label: `stop ${node.name}`, weight: kill / 3, run: this.faulty("stop", () => node.stop()) })
      this.freezing(node, kill / 3, list)
    }
  }

  /** Long enough for the group to throw it out, most of the time: it goes on as a zombie. */
  private freezing(node: Process, weight: number, list: Candidate[]): void {
    const { frozen } = this.world
    const { name } = node
    if (frozen.has(node)) list.push({ label: `thaw ${name}`, weight: THAW_WEIGHT, run: () => frozen.delete(node) })
    else list.push({ label: `freeze ${name}`, weight, run: this.faulty("process frozen", () => frozen.add(node)) })
  }

  private disk(list: Candidate[]): void {
    const { disk, faults, random } = this.world
    if (faults.disk === 0) return
    const toggle = () => {
      disk.full = !disk.full
      if (disk.full) this.world.inject("disk full")
    }
    list.push({ label: disk.full ? "disk has room" : "disk full", weight: faults.disk / 2, run: toggle })
    const rotten = disk.rotten()
    if (rotten.length === 0) return
    const name = random.pick(rotten)
    list.push({ label: `damage ${name}`, weight: faults.disk, run: () => disk.damage(name) })
  }

  private faulty(fault: Fault, run: () => void): () => void {
    return () => {
      this.world.inject(fault)
      run()
    }
  }
}

const weighted = (candidates: readonly Candidate[], at: number): Candidate => {
  let left = at * candidates.reduce((sum, one) => sum + one.weight, 0)
  for (const one of candidates) {
    left -= one.weight
    if (left < 0) return one
  }
  return candidates.at(-1)!
}
