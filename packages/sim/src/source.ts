import { type Batch, type GroupChange, LogError, type Membership, STRIDE, type TopicPartition } from "@headrace/engine"
import { Effect } from "effect"
import { nameOf } from "./log.ts"
import { SOURCE } from "./pipelines.ts"
import type { World } from "./world.ts"

const GARBAGE = 0xee

/** One process's membership in the group, and its position in each partition that it was given. */
export class SimSource {
  private readonly world: World
  private readonly owner: object
  private readonly name: string
  private readonly incarnation: number
  private readonly positions = new Map<string, number>()
  /** Handed over to the lane, not given back: what is lost if the group throws the member out. */
  private readonly held = new Map<string, TopicPartition>()
  private joined = false
  /** A change that the lane has not answered: the client tells of no other one. */
  private unanswered: GroupChange | undefined
  private batches: Batch[] = []

  constructor(world: World, owner: object, name: string, incarnation: number) {
    this.world = world
    this.owner = owner
    this.name = name
    this.incarnation = incarnation
  }

  /** Two batches are valid at a time: the one before them is overwritten when a poll begins. */
  begin(): void {
    if (this.batches.length < 2) return
    const stale = this.batches.shift()!
    stale.bytes.fill(GARBAGE)
    stale.index.fill(-7)
    stale.stamps.fill(-7)
  }

  poll(maxRecords: number): { batch: Batch; changes: readonly GroupChange[] } {
    const batch = this.fetch(maxRecords)
    this.batches.push(batch)
    const change = this.change()
    if (change !== undefined) this.unanswered = change
    return { batch, changes: change === undefined ? [] : [change] }
  }

  private change(): GroupChange | undefined {
    const { group, random } = this.world
    if (this.unanswered !== undefined) return undefined
    const member = group.member(this.name, this.incarnation)
    if (member === undefined) return this.rejoin()
    const revoked = group.toRevoke(member)
    if (revoked.length > 0) {
      if (this.world.sabotage === "noBarrier") for (const one of revoked) member.owned.delete(nameOf(one))
      return { type: "revoke", partitions: revoked }
    }
    const assigned = group.toAssign(member).filter(() => random.chance(0.8))
    if (assigned.length === 0) return undefined
    for (const { topic, partition } of assigned) {
      member.owned.add(nameOf({ topic, partition }))
      this.held.set(nameOf({ topic, partition }), { topic, partition })
    }
    return { type: "assign", partitions: assigned.map(({ topic, partition }) => ({ topic, partition })) }
  }

  /** Thrown out: says so first, and comes back as a new member once that is answered. */
  private rejoin(): GroupChange | undefined {
    if (this.joined && this.held.size > 0) return { type: "lost", partitions: [...this.held.values()] }
    this.joined = true
    this.world.group.join(this.name, this.incarnation)
    return undefined
  }

  private fetch(maxRecords: number): Batch {
    const { random, log } = this.world
    const rows: number[][] = []
    const stamps: number[] = []
    const parts: Uint8Array[] = []
    let size = 0
    let left = random.chance(0.3) ? 0 : Math.min(maxRecords, random.int(1, 12))
    for (const name of random.shuffle([...this.positions.keys()].sort())) {
      const { partition } = this.held.get(name)!
      const from = log.at({ topic: SOURCE, partition })
      let position = this.positions.get(name)!
      for (; position < from.lso() && left > 0; position++) {
        const record = from.committed(position)
        if (record === undefined) continue
        const key = record.key ?? new Uint8Array(0)
        rows.push([0, partition, size, key.length, size + key.length, record.value.length, 0, 0])
        stamps.push(position, record.timestamp)
        parts.push(key, record.value)
        size += key.length + record.value.length
        left--
      }
      this.positions.set(name, position)
    }
    const bytes = new Uint8Array(size)
    let at = 0
    for (const part of parts) {
      bytes.set(part, at)
      at += part.length
    }
    const index = Int32Array.from(
      { length: rows.length * STRIDE },
      (_, i) => rows[Math.floor(i / STRIDE)]![i % STRIDE]!
    )
    return { bytes, index, stamps: Float64Array.from(stamps), count: rows.length }
  }

  heartbeat(): void {
    const member = this.world.group.member(this.name, this.incarnation)
    if (member !== undefined) member.epoch = this.world.group.epoch
  }

  /** Identity and epoch as they are now; refused when they have changed by the time the request arrives. */
  metadata(): { name: string; incarnation: number; epoch: number } {
    const member = this.world.group.member(this.name, this.incarnation)
    return { name: this.name, incarnation: this.incarnation, epoch: member?.epoch ?? -1 }
  }

  /** The port, as far as restoring uses it; the lane's own calls are made by the node. */
  port(): Membership {
    const { world } = this
    return {
      topic: () => SOURCE,
      poll: () => Effect.die("polled by the node"),
      assign: () => Effect.die("assigned by the node"),
      unassign: () => Effect.die("unassigned by the node"),
      seek: () => Effect.die("sought by the node"),
      committed: partitions =>
        world.remote(
          this.owner,
          `${this.name} committed ${partitions.map(nameOf)}`,
          () => Effect.sync(() => partitions.map(one => world.log.committedOffset(nameOf(one)))),
          {
            ready: () => world.sabotage === "undecidedRead" || !partitions.some(one => world.log.unstable(nameOf(one)))
          }
        ),
      range: partition => Effect.sync(() => ({ start: 0, end: world.log.at(partition).lso() })),
      knownEnd: () => undefined,
      member: undefined,
      close: Effect.void
    }
  }

  assign(positions: readonly { topic: string; partition: number; offset: number }[]): void {
    for (const one of positions) {
      if (!this.held.has(nameOf(one))) throw new LogError("Stop", `${nameOf(one)} was assigned, but the group did not`)
      if (this.positions.has(nameOf(one))) throw new LogError("Stop", `${nameOf(one)} is assigned already`)
      this.positions.set(nameOf(one), one.offset)
    }
    if (this.unanswered?.type === "assign") this.unanswered = undefined
  }

  seek(positions: readonly { topic: string; partition: number; offset: number }[]): void {
    for (const one of positions) {
      if (!this.positions.has(nameOf(one))) throw new LogError("Stop", `seek of ${nameOf(one)}, which is not assigned`)
      this.positions.set(nameOf(one), one.offset)
    }
  }

  unassign(partitions: readonly TopicPartition[]): void {
    const member = this.world.group.member(this.name, this.incarnation)
    for (const one of partitions) {
      this.positions.delete(nameOf(one))
      this.held.delete(nameOf(one))
      member?.owned.delete(nameOf(one))
    }
    if (this.unanswered?.type !== "assign") this.unanswered = undefined
  }

  close(): void {
    this.positions.clear()
    this.held.clear()
    this.world.group.leave(this.name, this.incarnation)
  }
}
