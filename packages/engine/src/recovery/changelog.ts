import { ByteWriter, ChangeReader } from "@headrace/core"
import { LogError, type TopicPartition } from "../ports/log.ts"
import type { Outputs } from "../task/outputs.ts"
import type { Task } from "../task/task.ts"

/** Change entries for one record; below Kafka's default limit of 1 MB with room for the rest of the record. */
const MAX_CHANGES_BYTES = 900_000
const VERSION = 1
const utf8 = new TextEncoder()
const text = new TextDecoder()

/** What stands before the change entries of a changelog record. */
export interface ChangelogHeader {
  /** The source offsets that the transaction covers: [from, to). Equal when only time passed. */
  readonly from: number
  readonly to: number
  /** Large deltas are split: record `part` of `parts`, all in one transaction. */
  readonly part: number
  readonly parts: number
  /**
   * The producers of the lane that wrote it: its instance is the one that writes the partition's checkpoints. No dead lane
   * is fenced by them (docs/decisions/0019): the last one that committed may live.
   */
  readonly transactionalIds: readonly [string, string]
  /** Where the change entries begin. */
  readonly changes: number
}

/**
 * Writes a partition's changelog records: one a transaction, naming the source offsets and holding the state's delta,
 * so that a gap shows and restore knows when it is complete (rule 3).
 */
export class ChangelogWriter {
  private readonly delta = new ByteWriter(1 << 16)
  private readonly committed = new WeakMap<Task, number>()
  private readonly ids: Uint8Array

  constructor(transactionalIds: readonly [string, string]) {
    this.ids = utf8.encode(transactionalIds.join("\n"))
  }

  /** Ends the delta of `task` and appends it to the outputs. `to`: the next source offset. */
  write(task: Task, to: number, outputs: Outputs, topic: number): void {
    const from = this.committed.get(task) ?? task.startedAt()
    this.committed.set(task, to)
    this.delta.clear()
    task.delta(this.delta)
    const ends = pieces(this.delta)
    ends.forEach((end, part) => {
      const start = part === 0 ? 0 : ends[part - 1]!
      const valueStart = outputs.data.length
      this.header(outputs.data, from, to, part, ends.length)
      outputs.data.copy(this.delta.bytes, start, end)
      outputs.add(topic, task.partition, -1, valueStart, -1)
    })
  }

  private header(out: ByteWriter, from: number, to: number, part: number, parts: number): void {
    out.u8(VERSION)
    out.f64(from)
    out.f64(to)
    out.u32(part)
    out.u32(parts)
    out.u32(this.ids.length)
    out.copy(this.ids, 0, this.ids.length)
  }
}

/** Where to cut changes so that no piece, unless of a single entry, is larger than one record may be. */
const pieces = (delta: ByteWriter): readonly number[] => {
  if (delta.length <= MAX_CHANGES_BYTES) return [delta.length]
  const ends: number[] = []
  let start = 0
  let end = 0
  const changes = new ChangeReader(delta.bytes, 0, delta.length)
  while (changes.next()) {
    if (changes.valueEnd - start > MAX_CHANGES_BYTES && end > start) {
      ends.push(end)
      start = end
    }
    end = changes.valueEnd
  }
  return [...ends, delta.length]
}

/** A record goes on where the one before it ended; `reached`: that end, where there is one. */
export const isGap = (header: ChangelogHeader, reached: number | undefined): boolean =>
  header.part === 0 && reached !== undefined && header.from !== reached

/** The changelog lacks records: no state can be made of it. */
export const gapError = (log: TopicPartition, offset: number, from: number, reached: number | undefined): LogError =>
  new LogError(
    "Stop",
    `Record ${offset} of the changelog ${log.topic}/${log.partition} goes on at source offset ${from}, but what comes before it ends at ${reached}: ` +
      "state in between is lost. Restore the topic, or reset the job by deleting the changelog topic, the checkpoints and the group's offsets."
  )

/** Reads the header of a changelog record at [start, end). Throws on damage or an unknown version. */
export const readHeader = (bytes: Uint8Array, start: number, end: number): ChangelogHeader => {
  const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start)
  if (view.getUint8(0) !== VERSION) throw new Error(`changelog record of unknown version ${view.getUint8(0)}`)
  const size = view.getUint32(25)
  const ids = text.decode(bytes.subarray(start + 29, start + 29 + size)).split("\n")
  return {
    from: view.getFloat64(1),
    to: view.getFloat64(9),
    part: view.getUint32(17),
    parts: view.getUint32(21),
    transactionalIds: [ids[0] ?? "", ids[1] ?? ""],
    changes: start + 29 + size
  }
}
