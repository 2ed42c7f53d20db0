import type { StoredCodec } from "../codec.ts"
import { type Key, type Keyed, readKey } from "../key.ts"
import type { Input } from "../operator.ts"
import { type Cell, Cells } from "../state/cells.ts"
import { type Stamped, stampedCodec } from "../state/stamped.ts"
import { EventTimeOperator, type EventTimeOptions, keyedPart, LateEvents } from "./eventTime.ts"
import { FIRST_STATE } from "./processLayout.ts"

/** A change of what is known of a key: a first record, a record taken back, one in its place. */
export type Op = "+I" | "-U" | "+U" | "-D"

/** What a step gives out that may change its mind. */
export interface Change {
  readonly op: Op
  readonly record: object
}

/** What a `Deduplicate` is made of, by the plan. */
export interface DeduplicateOptions extends EventTimeOptions {
  /** Which record of a key counts, by event time. */
  readonly keep: "first" | "last"
  /** `changes`: at once, and again whenever another one counts. `once`: the first one only, when it is certain. */
  readonly emit: "changes" | "once"
  readonly key: Keyed
  /** How records are kept. */
  readonly codec: StoredCodec
  /**
   * How long a key is remembered behind the last change of what counts, in ms of event time. Default: for ever. With `once` it is
   * forgotten as the watermark passes: whether a record counts that is further ahead of that may depend on batches.
   */
  readonly ttlMs?: number | undefined
  readonly late: Input | undefined
}

/** Undefined: the key's first record is out. */
type Known = Stamped | undefined

/**
 * Of each key one record, the first or the last by event time, by Flink's rules. With `changes` it gives out `Change`s:
 * what counts at once, and when another one counts in its place that the old one is taken back. With `once` it gives out
 * the record itself when the watermark has reached its time.
 */
export class Deduplicate extends EventTimeOperator implements Input {
  readonly late: LateEvents
  private readonly key: Keyed
  private readonly keepLast: boolean
  private readonly once: boolean
  private readonly ttlMs: number
  private readonly known: Cells<Known>

  constructor(options: DeduplicateOptions) {
    const { id, keep, emit, codec } = options
    const known = new Cells<Known>({ id, handle: FIRST_STATE, codec: knownCodec(codec), timed: true })
    super(options, `deduplicate: ${keep}, ${emit}`, [keyedPart("known", "value", true, known, codec.shape)])
    this.key = options.key
    this.keepLast = keep === "last"
    this.once = emit === "once"
    this.ttlMs = options.ttlMs ?? Number.POSITIVE_INFINITY
    this.known = known
    this.late = new LateEvents(options.late)
  }

  next(record: object, timestamp: number): void {
    const { bytes, start, end, kind } = this.key
    const key = readKey(bytes, start, end, kind)
    if (this.once) this.wait(key, record, this.time(timestamp))
    else this.change(key, record, this.time(timestamp))
  }

  watermark(watermark: number): void {
    this.late.watermark(watermark)
    this.advance(watermark)
  }

  protected perform(): void {
    this.happen(this.known.first()!)
  }

  /** What is certain is given out, and what was remembered for long enough forgotten. */
  private happen(cell: Cell<Known>): void {
    const { key, value, due } = cell
    if (this.once && value !== undefined) {
      this.known.put(key, undefined, undefined, due + this.ttlMs)
      this.emit(key, value.record, value.timestamp)
    } else this.known.remove(cell)
  }

  private wait(key: Key, record: object, timestamp: number): void {
    const reached = this.times.of(key, this.current)
    if (timestamp < reached) return this.late.take(record, timestamp)
    let cell = this.known.find(key, undefined)
    // What is due of a key happens before its next record.
    for (; cell !== undefined && cell.due <= reached; cell = this.known.find(key, undefined)) this.happen(cell)
    if (cell !== undefined && (cell.value === undefined || cell.value.timestamp <= timestamp)) return
    this.known.put(key, undefined, { record, timestamp }, Math.max(timestamp, reached + 1))
  }

  private change(key: Key, record: object, timestamp: number): void {
    const reached = this.times.of(key, this.current)
    const before = this.known.find(key, undefined)
    // By the record's own time, too: how far the watermark is behind it depends on how records come in batches.
    const alive = before !== undefined && before.due > Math.max(timestamp, reached) ? before.value : undefined
    if (alive !== undefined && (this.keepLast ? timestamp < alive.timestamp : timestamp >= alive.timestamp)) return
    this.known.put(key, undefined, { record, timestamp }, Math.max(timestamp, reached) + this.ttlMs)
    if (alive === undefined) return this.give(key, "+I", { record, timestamp })
    this.give(key, "-U", alive)
    this.give(key, "+U", { record, timestamp })
  }

  private give(key: Key, op: Op, { record, timestamp }: Stamped): void {
    this.emit(key, { op, record } satisfies Change, timestamp)
  }
}

/** Whether there is one, then `time · record`. */
const knownCodec = (record: StoredCodec) => {
  const stamped = stampedCodec(record)
  return {
    write: (known: Known, out: Parameters<typeof stamped.write>[1]) => {
      out.u8(known === undefined ? 0 : 1)
      if (known !== undefined) stamped.write(known, out)
    },
    read: (bytes: Uint8Array, start: number, end: number): Known =>
      bytes[start] === 0 ? undefined : stamped.read(bytes, start + 1, end)
  }
}
