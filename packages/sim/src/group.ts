import type { TopicPartition } from "@headrace/engine"
import { nameOf } from "./log.ts"
import type { Random } from "./random.ts"

export interface Member {
  readonly name: string
  /** Each start of a process is another one, also under the same name. */
  readonly incarnation: number
  /** Each time it joins another one. */
  readonly id: number
  epoch: number
  readonly owned: Set<string>
}

/**
 * A consumer group's coordinator, incremental: members keep what need not move, and a partition goes to its next owner only after the one before gave it back or was
 * thrown out. Offset commits are checked against the member's epoch, not against who owns the partition.
 */
export class Group {
  readonly members = new Map<string, Member>()
  epoch = 1
  private readonly random: Random
  private ids = 0
  /** Incarnations that were let go while their request to join was on its way, by name. */
  private readonly asking = new Map<string, number>()
  private partitions: readonly TopicPartition[]
  private target = new Map<string, string>()

  constructor(random: Random, partitions: readonly TopicPartition[]) {
    this.random = random
    this.partitions = partitions
  }

  /** Whoever joins from now on subscribes to these. Nobody is there. */
  reads(partitions: readonly TopicPartition[]): void {
    this.partitions = partitions
    this.target = new Map()
  }

  /** The members subscribe to more. Before any of them joins. */
  add(partitions: readonly TopicPartition[]): void {
    this.partitions = [...this.partitions, ...partitions]
  }

  /** A static member that comes back takes the place of its predecessor. */
  join(name: string, incarnation: number): void {
    this.asking.delete(name)
    this.members.set(name, { name, incarnation, id: ++this.ids, epoch: this.epoch, owned: new Set() })
    this.adjust()
  }

  leave(name: string, incarnation: number): void {
    const member = this.member(name, incarnation)
    if (member === undefined) return
    // The group has moved, and it was to answer that.
    if (member.epoch !== this.epoch) this.asking.set(name, incarnation)
    this.members.delete(name)
    this.adjust()
  }

  /** It was let go while its request to join was on its way: it joins again at once, with what it has, and nobody tells it. */
  isAsking(name: string, incarnation: number): boolean {
    return this.asking.get(name) === incarnation
  }

  member(name: string, incarnation: number): Member | undefined {
    const member = this.members.get(name)
    return member?.incarnation === incarnation ? member : undefined
  }

  /** Another distribution over the members, not always a fair one. */
  rebalance(): void {
    this.epoch++
    const names = this.random.shuffle([...this.members.keys()])
    const fair = this.random.chance(0.7)
    this.target = new Map()
    if (names.length === 0) return
    this.partitions.forEach((partition, i) => {
      this.target.set(nameOf(partition), fair ? names[i % names.length]! : this.random.pick(names))
    })
  }

  /** Members came or went: as an incremental assignor does it, what need not move stays where it is. */
  private adjust(): void {
    if (this.random.chance(0.3) || this.members.size === 0) return this.rebalance()
    this.epoch++
    const loads = new Map([...this.members.keys()].map(name => [name, [] as string[]]))
    const free: string[] = []
    for (const partition of this.partitions) {
      const name = nameOf(partition)
      ;(loads.get(this.target.get(name) ?? "") ?? free).push(name)
    }
    const least = () => [...loads.values()].reduce((low, one) => (one.length < low.length ? one : low))
    const most = () => [...loads.values()].reduce((high, one) => (one.length > high.length ? one : high))
    for (const name of free) least().push(name)
    while (most().length > least().length + 1) least().push(most().pop()!)
    this.target = new Map([...loads].flatMap(([member, names]) => names.map(name => [name, member] as const)))
  }

  toRevoke(member: Member): readonly TopicPartition[] {
    return this.partitions.filter(one => member.owned.has(nameOf(one)) && this.target.get(nameOf(one)) !== member.name)
  }

  toAssign(member: Member): readonly TopicPartition[] {
    return this.partitions.filter(one => this.gives(member, one))
  }

  /** It is to have the partition, and nobody has it yet. */
  gives(member: Member, one: TopicPartition): boolean {
    return this.target.get(nameOf(one)) === member.name && this.isFree(nameOf(one))
  }

  private isFree(name: string): boolean {
    for (const member of this.members.values()) if (member.owned.has(name)) return false
    return true
  }

  /** Whether each partition is with whom it belongs, and each member knows the epoch. */
  settled(): boolean {
    for (const member of this.members.values())
      if (this.toRevoke(member).length > 0 || this.toAssign(member).length > 0 || member.epoch !== this.epoch)
        return false
    return this.members.size > 0
  }
}
