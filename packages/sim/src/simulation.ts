import type { Plan } from "headrace"
import { type Candidate, Candidates, TRANSACTION_TIMEOUT_MS } from "./candidates.ts"
import { allOut, check } from "./checker.ts"
import type { Fault } from "./faults.ts"
import { askIn, Inputs } from "./inputs.ts"
import { nameOf } from "./log.ts"
import type { Node } from "./node.ts"
import { planOf, SHAPES, type Shape } from "./pipelines.ts"
import type { Sabotage } from "./sabotage.ts"
import { type Saved, Saving } from "./saving.ts"
import type { TableNode } from "./table-node.ts"
import { warehouseOf } from "./warehouse.ts"
import { MAX_LANES, World } from "./world.ts"

/** Steps with faults at most, and steps in which everything must have come to rest afterwards. */
const FAULTY_STEPS = 1_500
const DRAIN_STEPS = 12_000
/** Longer than the distance that watermarks between stages keep, which go out with time alone. */
const APART_MS = 200
/** The number of the halt in which a run ends: no other one has it. */
const LAST_HALT = -1
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

/** One seed: lanes work while things go wrong, then faults stop, everything drains, and the outputs are judged. */
export const simulate = (options: Options): Result => new Simulation(options).run()

class Simulation {
  private readonly options: Options
  private readonly world: World
  private readonly shape: Shape
  private readonly plan: Plan
  private readonly slots: (Node | undefined)[]
  private readonly tables: (TableNode | undefined)[]
  private readonly inputs: Inputs
  private readonly saving: Saving
  private readonly candidates: Candidates
  private digest = 0
  /** Since when everything is committed, as far as one has looked. */
  private finishedAt: number | undefined

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
    this.candidates = new Candidates(this.world, this.plan, this.inputs, { lanes: this.slots, tables: this.tables })
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
    while (world.step < limit && world.violations.length === 0 && !this.rested()) this.turn(false)
    this.stopAll()
    if (world.violations.length === 0) for (const what of check(world, this.plan, this.shape)) world.violation(what)
    const { seed } = this.options
    const { step, violations, injected } = world
    return { seed, shape: this.shape, steps: step, violations, injected, digest: this.digest }
  }

  /** Finished, and no watermark has been kept back for its distance from the one before. Called at each step. */
  private rested(): boolean {
    const { now } = this.world
    if (!this.finished()) this.finishedAt = undefined
    else this.finishedAt ??= now
    return this.finishedAt !== undefined && now - this.finishedAt >= APART_MS
  }

  /** Everything that came in is committed, and no window is in the middle of its firing. */
  private finished(): boolean {
    return this.inputs.left === 0 && this.consumed()
  }

  /** The same of what has come in so far. */
  private consumed(): boolean {
    const { log } = this.world
    if (!this.quiet() || this.waiting() || this.world.warehouse?.filled === false) return false
    if (this.shape === "alarms" && !allOut(this.world)) return false
    return this.world.consumed().every(input => {
      const last = input.all().at(-1)
      return last === undefined || log.committedOffset(nameOf(input)) === last.offset + 1
    })
  }

  /** Every partition runs somewhere, its lane has nothing left to do, and all that live say that they do their part. */
  private quiet(): boolean {
    const alive = this.slots.filter(node => node?.alive)
    // A zombie's word does not count: what is due may be open with whoever has its partitions now.
    const running = new Set(alive.flatMap(node => (node!.source.isOwner ? node!.running() : [])))
    const ready = [...alive, ...this.tables.filter(table => table?.alive)].every(one => one!.ready)
    return ready && running.size === this.world.consumed().length && alive.every(node => node!.idle)
  }

  private atRest(): boolean {
    const alive = this.slots.filter(node => node?.alive)
    // One that was expelled and does not know it says the same as who has its partitions now.
    return new Set(alive.flatMap(node => node!.halted)).size === this.world.consumed().length
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
    const candidates = this.candidates.list(faulty, starting)
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
}

const weighted = (candidates: readonly Candidate[], at: number): Candidate => {
  let left = at * candidates.reduce((sum, one) => sum + one.weight, 0)
  for (const one of candidates) {
    left -= one.weight
    if (left < 0) return one
  }
  return candidates.at(-1)!
}
