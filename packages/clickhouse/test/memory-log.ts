import {
  type Batch,
  type CommittedLog,
  type GroupChange,
  LogError,
  type Mark,
  type Polled,
  STRIDE,
  type TopicPartition
} from "@headrace/engine"
import { Effect } from "effect"

interface Stored {
  readonly offset: number
  readonly timestamp: number
  readonly value: Uint8Array
}

/** A topic and the offsets of one group: what survives the crash of a member. */
export class MemoryTopic {
  readonly name: string
  readonly partitions: Stored[][]
  readonly starts: number[]
  readonly committed = new Map<number, Mark>()
  /** Called before each commit; throwing a LogError refuses it. */
  onCommit: (marks: readonly Mark[]) => void = () => {}
  private readonly ends: number[]

  constructor(name: string, partitions: number) {
    this.name = name
    this.partitions = Array.from({ length: partitions }, () => [])
    this.starts = this.partitions.map(() => 0)
    this.ends = this.partitions.map(() => 0)
  }

  append(partition: number, value: Uint8Array): number {
    const offset = this.ends[partition]!++
    this.partitions[partition]!.push({ offset, timestamp: 1_700_000_000_000 + offset, value })
    return offset
  }

  /** Offsets without a record: transaction markers, aborted records. */
  gap(partition: number, size: number): void {
    this.ends[partition]! += size
  }

  end(partition: number): number {
    return this.ends[partition]!
  }

  deleteBefore(partition: number, offset: number): void {
    this.starts[partition] = offset
    this.partitions[partition] = this.partitions[partition]!.filter(record => record.offset >= offset)
  }

  /** What must be in the table: the number of records. */
  get records(): number {
    return this.partitions.reduce((sum, records) => sum + records.length, 0)
  }
}

/** One member's life: made for each start of the sink. */
export class MemoryMember implements CommittedLog {
  private readonly topic: MemoryTopic
  private readonly positions = new Map<number, number>()
  private readonly changes: GroupChange[] = []
  private paused = false
  fenced = false
  polls = 0

  constructor(topic: MemoryTopic, partitions: readonly number[] = topic.partitions.map((_, i) => i)) {
    this.topic = topic
    this.change("assign", partitions)
  }

  change(type: GroupChange["type"], partitions: readonly number[]): void {
    this.changes.push({ type, partitions: partitions.map(partition => ({ topic: this.topic.name, partition })) })
  }

  readonly poll = (maxRecords: number, timeoutMs: number): Effect.Effect<Polled, LogError> =>
    Effect.suspend(() => {
      this.polls++
      const changes = this.changes.splice(0)
      const batch = this.paused ? batchOf([]) : this.fetch(maxRecords)
      const answer = Effect.succeed({ batch, changes })
      return batch.count === 0 && changes.length === 0 ? Effect.delay(answer, Math.min(timeoutMs, 5)) : answer
    })

  private fetch(maxRecords: number): Batch {
    const found: [number, Stored][] = []
    for (const [partition, position] of this.positions) {
      const room = Math.min(97, maxRecords - found.length)
      const next = this.topic.partitions[partition]!.filter(record => record.offset >= position).slice(0, room)
      for (const record of next) found.push([partition, record])
      if (next.length > 0) this.positions.set(partition, next.at(-1)!.offset + 1)
    }
    return batchOf(found)
  }

  readonly assign: CommittedLog["assign"] = positions =>
    Effect.sync(() => {
      for (const { partition, offset } of positions) this.positions.set(partition, offset)
    })
  readonly seek: CommittedLog["seek"] = positions => this.assign(positions)
  readonly unassign: CommittedLog["unassign"] = partitions =>
    Effect.sync(() => {
      for (const { partition } of partitions) this.positions.delete(partition)
    })
  readonly pause: CommittedLog["pause"] = () =>
    Effect.sync(() => {
      this.paused = true
    })
  readonly resume: CommittedLog["resume"] = () =>
    Effect.sync(() => {
      this.paused = false
    })
  readonly committed: CommittedLog["committed"] = partitions =>
    Effect.sync(() => partitions.map(({ partition }) => this.topic.committed.get(partition)))
  /** What `onCommit` throws: a LogError refuses the commit, everything else is a crash. */
  readonly commit: CommittedLog["commit"] = marks =>
    Effect.suspend(() => {
      try {
        if (this.fenced) throw new LogError("Fenced", "the group moved on")
        this.topic.onCommit(marks)
        for (const mark of marks) this.topic.committed.set(mark.partition, mark)
        return Effect.void
      } catch (error) {
        return error instanceof LogError ? Effect.fail(error) : Effect.die(error)
      }
    })
  readonly range: CommittedLog["range"] = ({ partition }: TopicPartition) =>
    Effect.sync(() => ({ start: this.topic.starts[partition]!, end: this.topic.end(partition) }))
  readonly ends: CommittedLog["ends"] = partitions =>
    Effect.sync(() => partitions.map(({ partition }) => this.topic.end(partition)))
  readonly read: CommittedLog["read"] = (from, last, visit) => {
    const records = this.topic.partitions[from.partition]!.filter(record => record.offset >= from.offset)
    const upTo = records.filter(record => record.offset <= last + 3)
    return visit(batchOf(upTo.map(record => [from.partition, record])))
  }
}

const batchOf = (records: readonly (readonly [partition: number, record: Stored])[]): Batch => {
  const size = records.reduce((sum, [, { value }]) => sum + value.length, 0)
  const bytes = new Uint8Array(size)
  const index = new Int32Array(records.length * STRIDE).fill(-1)
  const stamps = new Float64Array(records.length * 2)
  let at = 0
  for (const [i, [partition, record]] of records.entries()) {
    bytes.set(record.value, at)
    index.set([0, partition, 0, -1, at, record.value.length, 0, 0], i * STRIDE)
    stamps.set([record.offset, record.timestamp], i * 2)
    at += record.value.length
  }
  return { bytes, index, stamps, count: records.length }
}
