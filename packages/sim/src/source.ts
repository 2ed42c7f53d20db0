import { type Batch, type GroupChange, LogError, type Membership, STRIDE, type TopicPartition } from "@headrace/engine"
import { Effect } from "effect"
import type { Group, Member } from "./group.ts"
import { type LogRecord, nameOf } from "./log.ts"
import { SOURCE } from "./pipelines.ts"
import type { World } from "./world.ts"

const GARBAGE = 0xee

/** The group that is joined, and the topics that its members share. */
export interface Joined {
  readonly group: Group
  readonly topics: readonly string[]
}

export interface Fetched {
  /** Its place among the topics of the group. */
  readonly topic: number
  readonly partition: number
  readonly offset: number
  readonly record: LogRecord
}

/** Records as the native client hands them over. */
export const batchOf = (records: readonly Fetched[]): Batch => {
  const bytes = new Uint8Array(
    records.reduce((sum, { record }) => sum + (record.key?.length ?? 0) + record.value.length, 0)
  )
  const index = new Int32Array(records.length * STRIDE)
  const stamps = new Float64Array(records.length * 2)
  let at = 0
  records.forEach(({ topic, partition, offset, record }, i) => {
    const key = record.key ?? new Uint8Array(0)
    bytes.set(key, at)
    bytes.set(record.value, at + key.length)
    index.set([topic, partition, at, key.length, at + key.length, record.value.length, 0, 0], i * STRIDE)
    stamps.set([offset, record.timestamp], i * 2)
    at += key.length + record.value.length
  })
  return { bytes, index, stamps, count: records.length }
}

/** One process's membership in a group, and its position in each partition that it was given. */
export class SimSource {
  private readonly world: World
  private readonly owner: object
  readonly name: string
  private readonly incarnation: number
  private readonly group: Group
  private readonly topics: readonly string[]
  private readonly positions = new Map<string, number>()
  /** Given to the lane, not given back: what is lost if the group throws the member out. Read once it has a position. */
  private readonly held = new Map<string, TopicPartition>()
  /** By partition, what this process knows to be committed. */
  readonly committed = new Map<string, number>()
  private joined = false
  /** The member's id when the group gave what is held. */
  private givenTo: number | undefined
  /** The member has heard what it was given, or that it is nothing so far. */
  private told = false
  /** A change that the lane has not answered: the client tells of no other one. */
  private unanswered: GroupChange | undefined
  private batches: Batch[] = []

  constructor(
    world: World,
    owner: object,
    name: string,
    incarnation: number,
    { group, topics }: Joined = { group: world.group, topics: [SOURCE] }
  ) {
    this.world = world
    this.group = group
    this.topics = topics
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
    if (change !== undefined && (change.type !== "assign" || change.partitions.length > 0)) this.unanswered = change
    return { batch, changes: change === undefined ? [] : [change] }
  }

  private change(): GroupChange | undefined {
    const { group } = this
    const { random } = this.world
    if (this.unanswered !== undefined) return undefined
    const member = group.member(this.name, this.incarnation)
    if (member === undefined) return this.rejoin()
    if (this.isOver(member)) return this.over(member)
    const revoked = group.toRevoke(member)
    if (revoked.length > 0) {
      const early = revoked.some(one => !this.positions.has(nameOf(one)))
      if (early && this.topics.includes(SOURCE)) this.world.inject("revoked in a restore")
      if (this.world.sabotage === "noBarrier") for (const one of revoked) member.owned.delete(nameOf(one))
      return { type: "revoke", partitions: revoked }
    }
    const given = group.toAssign(member).filter(() => random.chance(0.8))
    for (const one of given) member.owned.add(nameOf(one))
    const assigned = given.filter(one => !this.held.has(nameOf(one)))
    if (assigned.length === 0 && this.told) return undefined
    this.told = true
    this.givenTo = member.id
    for (const { topic, partition } of assigned) this.held.set(nameOf({ topic, partition }), { topic, partition })
    return { type: "assign", partitions: assigned.map(({ topic, partition }) => ({ topic, partition })) }
  }

  /** Thrown out: hears of it sooner or later, says so first, and comes back as a new member once that is answered. */
  private rejoin(): GroupChange | undefined {
    if (this.joined && this.world.random.chance(0.5)) return undefined
    if (this.held.size > 0 && this.group.isAsking(this.name, this.incarnation)) {
      this.world.inject("let go while joining")
      this.told = false
      this.group.join(this.name, this.incarnation)
      return undefined
    }
    if (this.joined && this.held.size > 0 && this.world.sabotage !== "lostKept") {
      this.world.inject("partitions lost")
      return { type: "lost", partitions: [...this.held.values()] }
    }
    this.joined = true
    this.told = false
    this.group.join(this.name, this.incarnation)
    // Nothing is held, but by the broken protocol.
    this.givenTo = this.group.member(this.name, this.incarnation)?.id
    return undefined
  }

  /** It is a member again, under another id than it was given to what it has: others may have had that since. */
  private isOver(member: Member): boolean {
    return this.held.size > 0 && this.givenTo !== member.id
  }

  /**
   * What librdkafka says is revoked, since it joined with all that it had, is lost, as the native edge says it
   * (kafka/native/src/membership.rs); what the group gives it again it cannot go on with.
   */
  private over(member: Member): GroupChange | undefined {
    const broken = this.world.sabotage === "letGoKept"
    const gone = [...this.held.values()].filter(one => !this.group.gives(member, one))
    if (gone.length > 0) return { type: broken ? "revoke" : "lost", partitions: gone }
    if (!broken) throw new LogError("Gone", `the group has let ${this.name} go`)
    for (const name of this.held.keys()) member.owned.add(name)
    this.givenTo = member.id
    return undefined
  }

  private fetch(maxRecords: number): Batch {
    const { random, log } = this.world
    const records: Fetched[] = []
    // A lane's poll comes back full in a third of the cases.
    let left = random.chance(0.3) ? 0 : Math.min(maxRecords, random.int(1, 18))
    for (const name of random.shuffle([...this.positions.keys()].sort())) {
      const { topic, partition } = this.held.get(name)!
      const from = log.at({ topic, partition })
      let offset = this.positions.get(name)!
      if (offset < from.start) {
        // One that was thrown out, and has not heard of it, may be behind whoever reads in its place: it is refused.
        const member = this.group.member(this.name, this.incarnation)
        if (member === undefined || this.isOver(member)) continue
        this.world.violation(`${name} was trimmed to ${from.start} before ${offset} was read`)
      }
      for (; offset < from.lso() && left > 0; offset++) {
        const record = from.committed(offset)
        if (record === undefined) continue
        records.push({ topic: this.topics.indexOf(topic), partition, offset, record })
        left--
      }
      this.positions.set(name, offset)
    }
    return batchOf(records)
  }

  /** What it has is its own: the group has not let it go, as it may have without its knowing. */
  get isOwner(): boolean {
    const member = this.group.member(this.name, this.incarnation)
    return member !== undefined && !this.isOver(member)
  }

  heartbeat(): void {
    const member = this.group.member(this.name, this.incarnation)
    if (member !== undefined) member.epoch = this.group.epoch
  }

  /**
   * Identity and epoch as they are now; refused when they have changed by the time the request arrives. `letGo`: not those
   * under which the group gave what is held, so that the client sends nothing.
   */
  metadata(): { name: string; incarnation: number; epoch: number; letGo: boolean } {
    const { name, incarnation } = this
    const member = this.group.member(name, incarnation)
    const letGo = member !== undefined && this.isOver(member) && this.world.sabotage !== "letGoKept"
    return { name, incarnation, epoch: member?.epoch ?? -1, letGo }
  }

  /** The port, as far as restoring uses it; the lane's own calls are made by the node. */
  port(): Membership {
    const { world } = this
    return {
      topic: id => this.topics[id]!,
      poll: () => Effect.die("polled by the node"),
      take: () => Effect.die("taken by the node"),
      pause: () => Effect.die("paused by the node"),
      seek: () => Effect.die("sought by the node"),
      unassign: () => Effect.die("unassigned by the node"),
      committed: partitions =>
        world.remote(
          this.owner,
          `${this.name} committed ${partitions.map(nameOf)}`,
          () => Effect.sync(() => partitions.map(one => world.remembered.get(nameOf(one))?.offset)),
          {
            ready: () => world.sabotage === "undecidedRead" || !partitions.some(one => world.log.unstable(nameOf(one)))
          }
        ),
      range: partition =>
        world.remote(this.owner, `${this.name} range of ${nameOf(partition)}`, () =>
          Effect.sync(() => {
            const log = world.log.at(partition)
            return { start: log.start, end: log.lso() }
          })
        ),
      ends: () => Effect.die("asked for by the interpreter"),
      knownEnd: () => undefined,
      member: undefined,
      close: Effect.void
    }
  }

  /** Partitions that the lane has, but does not read: their state is on its way. */
  get arriving(): boolean {
    return this.held.size > this.positions.size
  }

  take(partitions: readonly TopicPartition[]): void {
    for (const one of partitions) this.checkHeld(one)
    if (this.unanswered?.type === "assign") this.unanswered = undefined
  }

  pause(partitions: readonly TopicPartition[]): void {
    for (const one of partitions) {
      if (!this.positions.delete(nameOf(one))) throw new LogError("Stop", `pause of ${nameOf(one)}, which is not read`)
    }
  }

  /** Reads from here partitions that were only held so far. */
  place(positions: readonly (TopicPartition & { readonly offset: number })[]): void {
    for (const one of positions) {
      this.checkHeld(one)
      if (this.positions.has(nameOf(one))) throw new LogError("Stop", `${nameOf(one)} is read already`)
      this.committed.set(nameOf(one), one.offset)
      this.positions.set(nameOf(one), this.world.sabotage === "positionIgnored" ? 0 : one.offset)
    }
  }

  /** Both at once. */
  assign(positions: readonly (TopicPartition & { readonly offset: number })[]): void {
    this.take(positions)
    this.place(positions)
  }

  seek(positions: readonly (TopicPartition & { readonly offset: number })[]): void {
    for (const one of positions) {
      if (!this.positions.has(nameOf(one))) throw new LogError("Stop", `seek of ${nameOf(one)}, which is not assigned`)
      this.positions.set(nameOf(one), one.offset)
    }
  }

  private checkHeld(one: TopicPartition): void {
    if (!this.held.has(nameOf(one))) throw new LogError("Stop", `${nameOf(one)} was not given by the group`)
  }

  unassign(partitions: readonly TopicPartition[]): void {
    const member = this.group.member(this.name, this.incarnation)
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
    this.group.leave(this.name, this.incarnation)
  }
}
