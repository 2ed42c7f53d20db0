import { LogError, type TopicPartition } from "@headrace/engine"

export interface LogRecord {
  readonly key: Uint8Array | undefined
  readonly value: Uint8Array
  readonly timestamp: number
}

/** An entry's offset is its place; markers (no record) take one too. */
interface Entry {
  readonly record: LogRecord | undefined
  readonly txn: Txn | undefined
}

/** An offset of a group, and what is to stand beside it. */
export interface CommittedOffset {
  readonly name: string
  readonly offset: number
  readonly metadata?: string
}

/** The same, with the place of its record in the offsets topic. */
interface Kept {
  readonly offset: number
  readonly metadata: string
  readonly place: number
}

/** A transaction as the coordinator knows it. Its end is decided first; the markers follow one by one. */
export interface Txn {
  readonly transactionalId: string
  readonly since: number
  outcome: "open" | "commit" | "abort"
  readonly partitions: Set<Partition>
  /** Partitions whose marker is still to be written. */
  readonly unmarked: Set<Partition>
  /** Pending offsets by `topic/partition`. */
  readonly offsets: Map<string, Kept>
  offsetsPending: boolean
}

export class Partition {
  readonly topic: string
  readonly partition: number
  readonly entries: Entry[] = []
  start = 0
  private stable = 0

  constructor(topic: string, partition: number) {
    this.topic = topic
    this.partition = partition
  }

  append(record: LogRecord | undefined, txn?: Txn): void {
    this.entries.push({ record, txn })
  }

  /** The last stable offset. */
  lso(): number {
    while (this.stable < this.entries.length && this.resolved(this.entries[this.stable]!)) this.stable++
    return this.stable
  }

  private resolved({ txn }: Entry): boolean {
    return txn === undefined || (txn.outcome !== "open" && !txn.unmarked.has(this))
  }

  /** The committed record at an offset below the last stable one. */
  committed(offset: number): LogRecord | undefined {
    const entry = this.entries[offset]!
    return entry.txn?.outcome === "abort" ? undefined : entry.record
  }

  /** All committed records, trimmed ones too: for the checker. */
  all(): { readonly offset: number; readonly record: LogRecord }[] {
    const found = []
    const end = this.lso()
    for (let offset = 0; offset < end; offset++) {
      const record = this.committed(offset)
      if (record !== undefined) found.push({ offset, record })
    }
    return found
  }
}

interface Coordinated {
  epoch: number
  current: Txn | undefined
  last: Txn["outcome"] | undefined
}

export const nameOf = (at: TopicPartition): string => `${at.topic}/${at.partition}`

/**
 * Topics and the transaction coordinator, as far as a client can tell them from Kafka's: epochs and fencing, ends that
 * are answered before their markers stand, pending offsets of which the later record wins.
 */
export class Log {
  readonly topics = new Map<string, Partition[]>()
  readonly ending = new Set<Txn>()
  private readonly ids = new Map<string, Coordinated>()
  readonly offsets = new Map<string, Kept>()
  private place = 0

  create(topic: string, partitions: number): void {
    this.topics.set(
      topic,
      Array.from({ length: partitions }, (_, i) => new Partition(topic, i))
    )
  }

  at({ topic, partition }: TopicPartition): Partition {
    const found = this.topics.get(topic)?.[partition]
    if (found === undefined) throw new Error(`no partition ${topic}/${partition}`)
    return found
  }

  // ── transactions ───────────────────────────────────────────────────────────────────────────────────────────────

  /** An end whose markers are not all written: the coordinator answers CONCURRENT_TRANSACTIONS, clients wait. */
  busy(id: string): boolean {
    const { current } = this.coordinated(id)
    return current !== undefined && current.outcome !== "open"
  }

  /** First half of InitProducerId: fences and aborts. The second half waits until nothing is `busy`. */
  fence(id: string): void {
    const state = this.coordinated(id)
    state.epoch++
    if (state.current?.outcome === "open") this.decide(state.current, "abort")
  }

  session(id: string): number {
    return ++this.coordinated(id).epoch
  }

  append(id: string, epoch: number, to: Partition, record: LogRecord, now: number): void {
    const txn = this.joined(id, epoch, now)
    txn.partitions.add(to)
    to.append(record, txn)
  }

  addOffsets(id: string, epoch: number, offsets: readonly CommittedOffset[], now: number): void {
    const txn = this.joined(id, epoch, now)
    txn.offsetsPending = true
    for (const one of offsets) txn.offsets.set(one.name, this.kept(one))
  }

  end(id: string, epoch: number, outcome: "commit" | "abort"): void {
    const state = this.checked(id, epoch)
    if (state.current?.outcome === "open") return this.decide(state.current, outcome)
    if (state.last !== outcome) throw new LogError("Abort", `${id} has no transaction to ${outcome}`)
  }

  /** Transactions open for longer than the time-out. */
  expired(now: number, timeoutMs: number): readonly string[] {
    const ids = [...this.ids].filter(
      ([, { current }]) => current?.outcome === "open" && now - current.since > timeoutMs
    )
    return ids.map(([id]) => id)
  }

  /** The ids of open transactions. */
  open(): readonly string[] {
    return [...this.ids].filter(([, { current }]) => current?.outcome === "open").map(([id]) => id)
  }

  anyOpen(): boolean {
    return [...this.ids.values()].some(({ current }) => current !== undefined)
  }

  /** What is left to write of an ending transaction: partitions, and undefined for the offsets topic. */
  markers(txn: Txn): readonly (Partition | undefined)[] {
    return txn.offsetsPending ? [...txn.unmarked, undefined] : [...txn.unmarked]
  }

  mark(txn: Txn, target: Partition | undefined): void {
    if (target === undefined) this.markOffsets(txn)
    else {
      txn.unmarked.delete(target)
      target.append(undefined)
    }
    this.settle(txn)
  }

  /** Committed at once, in no transaction. */
  commitOffsets(offsets: readonly CommittedOffset[]): void {
    for (const one of offsets) this.offsets.set(one.name, this.kept(one))
  }

  /** Each commit stands for what is beside it, too: without it there is nothing. */
  private kept({ offset, metadata = "" }: CommittedOffset): Kept {
    return { offset, metadata, place: this.place++ }
  }

  private markOffsets(txn: Txn): void {
    txn.offsetsPending = false
    if (txn.outcome === "abort") return
    for (const [name, one] of txn.offsets) {
      const before = this.offsets.get(name)
      if (before === undefined || before.place < one.place) this.offsets.set(name, one)
    }
  }

  private settle(txn: Txn): void {
    if (txn.unmarked.size > 0 || txn.offsetsPending) return
    this.ending.delete(txn)
    const state = this.coordinated(txn.transactionalId)
    if (state.current === txn) state.current = undefined
  }

  private decide(txn: Txn, outcome: "commit" | "abort"): void {
    txn.outcome = outcome
    this.coordinated(txn.transactionalId).last = outcome
    for (const partition of txn.partitions) txn.unmarked.add(partition)
    this.ending.add(txn)
    this.settle(txn)
  }

  private joined(id: string, epoch: number, now: number): Txn {
    const state = this.checked(id, epoch)
    if (state.current === undefined) {
      state.current = {
        transactionalId: id,
        since: now,
        outcome: "open",
        partitions: new Set(),
        unmarked: new Set(),
        offsets: new Map(),
        offsetsPending: false
      }
    }
    if (state.current.outcome !== "open") throw new Error(`${id} is busy`)
    return state.current
  }

  private checked(id: string, epoch: number): Coordinated {
    const state = this.coordinated(id)
    if (state.epoch !== epoch) throw new LogError("Fenced", `${id} has epoch ${state.epoch}, the request ${epoch}`)
    return state
  }

  private coordinated(id: string): Coordinated {
    const known = this.ids.get(id)
    if (known !== undefined) return known
    const made: Coordinated = { epoch: 0, current: undefined, last: undefined }
    this.ids.set(id, made)
    return made
  }

  // ── committed offsets ──────────────────────────────────────────────────────────────────────────────────────────

  /** Whether some transaction that may still commit holds an offset for the partition. */
  unstable(name: string): boolean {
    for (const { current } of this.ids.values()) if (current?.offsetsPending && current.offsets.has(name)) return true
    return false
  }

  committedOffset(name: string): number | undefined {
    return this.offsets.get(name)?.offset
  }
}
