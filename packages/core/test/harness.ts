import type { Aggregate } from "../src/aggregate.ts"
import { ByteWriter } from "../src/bytes.ts"
import type { ValueCodec } from "../src/codec.ts"
import { keyed, readKey } from "../src/key.ts"
import { GridWindow } from "../src/operators/gridWindow.ts"
import { keyBy } from "../src/operators/keyBy.ts"
import { blockOf, type Entry, entriesIn } from "../src/state/block.ts"
import { ChangeSet } from "../src/state/merge.ts"
import { PartitionState } from "../src/state/partition.ts"
import { SourceClock } from "../src/time/sourceClock.ts"

export type Key = string | number | bigint

export interface Event {
  readonly key: Key
  readonly value: number
  readonly ts: number
}

export interface Emitted {
  readonly key: Key
  readonly start: number
  readonly end: number
  readonly ts: number
  readonly count: number
  readonly sum: number
  readonly min: number
  readonly max: number
  readonly average: number
  readonly distinct: number
  readonly list: readonly number[]
}

export interface WindowSpec {
  readonly size: number
  readonly offset: number
  readonly allowedLateness: number
}

export const listCodec: ValueCodec<number[]> = {
  write: (list, out) => {
    for (const one of list) out.f64(one)
  },
  read: (bytes, start, end) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start)
    return Array.from({ length: (end - start) / 8 }, (_, i) => view.getFloat64(i * 8))
  }
}

const value = (event: Event): number => event.value
export const aggregates: Readonly<Record<string, Aggregate>> = {
  count: { kind: "count" },
  sum: { kind: "sum", of: value },
  min: { kind: "min", of: value },
  max: { kind: "max", of: value },
  average: { kind: "average", of: value },
  distinct: { kind: "distinctCount", of: value },
  list: {
    kind: "custom",
    codec: listCodec as ValueCodec<unknown>,
    init: () => [],
    add: (list: number[], event: Event) => [...list, event.value],
    result: (list: number[]) => list
  }
}

/** A chain keyBy → window of one partition, with what it emitted and what was late. */
export class Chain {
  readonly emitted: Emitted[] = []
  readonly late: Event[] = []
  readonly clock: SourceClock
  readonly window: GridWindow
  readonly state: PartitionState
  private readonly head

  constructor(spec: WindowSpec, boundMs = 0, atOnce = Number.POSITIVE_INFINITY) {
    const key = keyed()
    this.clock = new SourceClock("source", boundMs)
    this.window = new GridWindow({
      id: "window",
      assigner: { kind: "tumbling", sizeMs: spec.size, offsetMs: spec.offset },
      allowedLatenessMs: spec.allowedLateness,
      aggregates,
      key,
      atOnce,
      output: { next: (record, ts) => this.emit(record as Record<string, unknown>, ts), watermark: () => {} },
      late: { next: (record, ts) => this.late.push({ ...(record as Event), ts }), watermark: () => {} }
    })
    this.head = keyBy((event: Event) => event.key, key, this.window)
    this.state = new PartitionState([this.clock, this.window])
  }

  event(event: Event): void {
    this.clock.observe(event.ts)
    this.head.next(event, event.ts)
  }

  watermark(watermark: number): void {
    this.head.watermark(watermark)
  }

  /** What the last step gave, which is then forgotten. */
  take(): { emits: Emitted[]; late: Event[] } {
    return { emits: this.emitted.splice(0), late: this.late.splice(0) }
  }

  delta(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.delta(out)
    return out.written().slice()
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.snapshot(out)
    return out.written().slice()
  }

  private emit(record: Record<string, unknown>, ts: number): void {
    const { key, windowStart: start, windowEnd: end, ...results } = record
    const { bytes, start: from, end: to, kind } = this.window.outputKey
    if (readKey(bytes, from, to, kind) !== key)
      throw new Error(`The current key is not the result's key ${String(key)}`)
    this.emitted.push({ key, start, end, ts, ...results } as Emitted)
  }
}

/** Entries of changes, sorted, as a checkpoint holds them. */
export const merged = (checkpoint: Iterable<Entry>, changes: Iterable<Uint8Array>): Entry[] => {
  const set = new ChangeSet()
  for (const record of changes) set.add(record)
  const merging = set.merging()
  return [...entriesIn(merging.through(blockOf(checkpoint))), ...merging.rest()]
}

/** Blocks of so many entries each, as a checkpoint has them. */
export const blocksOf = (entries: Iterable<Entry>, size: number): Uint8Array[] => {
  const all = [...entries]
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => blockOf(all.slice(i * size, (i + 1) * size)))
}

/** A chain as it is after a restart: checkpoint, then the changelog since, each record twice if asked. */
export const restored = (
  spec: WindowSpec,
  checkpoint: Iterable<Entry>,
  changelog: Iterable<Uint8Array>,
  bound = 0,
  times = 1,
  atOnce = Number.POSITIVE_INFINITY
): Chain => {
  const chain = new Chain(spec, bound, atOnce)
  for (const block of blocksOf(checkpoint, 3)) chain.state.putBack(block)
  for (const changes of changelog) for (let i = 0; i < times; i++) chain.state.apply(changes)
  return chain
}
