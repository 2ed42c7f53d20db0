import type { Plan } from "headrace"
import type { Fault } from "./faults.ts"
import type { Group } from "./group.ts"
import type { Inputs } from "./inputs.ts"
import { nameOf, type Txn } from "./log.ts"
import { Node } from "./node.ts"
import type { SimSource } from "./source.ts"
import { TableNode } from "./table-node.ts"
import type { Warehouse } from "./warehouse.ts"
import type { World } from "./world.ts"

export const TRANSACTION_TIMEOUT_MS = 10_000
/** Against 1 for its being thrown out by the group. */
const THAW_WEIGHT = 0.3
/** For so long a coordinator answers with what it once knew; less than lanes and sinks wait. */
const FORGOTTEN_MS = 10_000

/** What may be killed. */
interface Process {
  readonly name: string
  readonly alive: boolean
  readonly source: SimSource
  readonly kill: () => void
  readonly stop: () => void
}

/** Something that may happen next, and how likely that is beside the others. */
export interface Candidate {
  readonly label: string
  readonly weight: number
  readonly run: () => void
}

/** Where lanes and tables run, or could: a process that is gone leaves its slot to the next one. */
export interface Slots {
  readonly lanes: (Node | undefined)[]
  readonly tables: (TableNode | undefined)[]
}

/** All that may happen next in a world: calls that come back, inputs, faults, and the life of processes. */
export class Candidates {
  private readonly world: World
  private readonly plan: Plan
  private readonly inputs: Inputs
  private readonly slots: Slots
  private incarnations = 0

  constructor(world: World, plan: Plan, inputs: Inputs, slots: Slots) {
    this.world = world
    this.plan = plan
    this.inputs = inputs
    this.slots = slots
  }

  /** `faulty`: things may go wrong; `starting`: processes may start. */
  list(faulty: boolean, starting: boolean): Candidate[] {
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
    this.members(group, this.slots.lanes, list)
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
    this.lifecycle(
      this.slots.lanes,
      "i",
      slot => new Node(world, plan, slot, ++this.incarnations),
      list,
      faulty,
      starting
    )
    for (const node of this.slots.lanes) {
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
    this.lifecycle(this.slots.tables, "t", make, list, faulty, starting)
    this.members(warehouse.group, this.slots.tables, list)
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
