import { ByteWriter } from "../src/bytes.ts"
import { keyed, STRING_KEY } from "../src/key.ts"
import type { Input } from "../src/operator.ts"
import { GridWindow } from "../src/operators/gridWindow.ts"

/** One measured case: nanoseconds an event, and for deltas their size. */
export interface CoreBench {
  readonly name: string
  readonly nsPerEvent: number
  readonly deltaBytes?: number
  readonly deltaMs?: number
}

const KEY_BYTES = 16
const COMMIT = 20_000
const nowhere: Input = { next: () => {}, watermark: () => {} }

/** mulberry32: the same events on every run. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

/** All keys back to back, 16 ASCII bytes each. */
const arenaOf = (keys: number): Uint8Array => {
  const arena = new Uint8Array(keys * KEY_BYTES)
  for (let i = 0; i < keys; i++)
    new TextEncoder().encodeInto(`acc-${String(i).padStart(12, "0")}`, arena.subarray(i * KEY_BYTES))
  return arena
}

const uniform = (keys: number, events: number): Int32Array => {
  const next = random(1)
  return Int32Array.from({ length: events }, () => Math.floor(next() * keys))
}

/** Zipf with exponent 1, by inverting the cumulative weights. */
const zipf = (keys: number, events: number): Int32Array => {
  const next = random(2)
  const weights = new Float64Array(keys)
  for (let i = 0, sum = 0; i < keys; i++) weights[i] = sum += 1 / (i + 1)
  return Int32Array.from({ length: events }, () => lowerBound(weights, next() * weights[keys - 1]!))
}

const lowerBound = (sorted: Float64Array, value: number): number => {
  let low = 0
  for (let high = sorted.length - 1; low < high; ) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

/** Event times over three open windows, in no order. */
const times = Float64Array.from({ length: 4096 }, (_, i) => (i * 7919) % 30_000)

interface Payment {
  readonly cents: number
}

const windowOver = () => {
  const key = keyed()
  const cents = (p: Payment) => p.cents
  const window = new GridWindow({
    id: "bench",
    assigner: { kind: "tumbling", sizeMs: 10_000, offsetMs: 0 },
    allowedLatenessMs: 0,
    aggregates: {
      payments: { kind: "count" },
      spent: { kind: "sum", of: cents },
      least: { kind: "min", of: p => cents(p) },
      most: { kind: "max", of: p => cents(p) }
    },
    key,
    output: nowhere,
    late: undefined
  })
  return { key, window }
}

/**
 * Feeds the events, spread over three open windows, and takes a delta every COMMIT events if asked. The best of three
 * passes after one to warm up: on a machine that others use too, the least is nearest to the cost.
 */
const feed = (name: string, arena: Uint8Array, ids: Int32Array, deltas: boolean): CoreBench => {
  const { key, window } = windowOver()
  const record = { cents: 0 }
  const out = new ByteWriter(1 << 20)
  key.bytes = arena
  key.kind = STRING_KEY
  let deltaNs = 0
  let deltaBytes = 0
  let count = 0
  const pass = (): number => {
    deltaNs = deltaBytes = count = 0
    const begin = performance.now()
    for (let i = 0; i < ids.length; i++) {
      key.start = ids[i]! * KEY_BYTES
      key.end = key.start + KEY_BYTES
      record.cents = i & 1023
      window.next(record, times[i & 4095]!)
      if (!deltas || (i + 1) % COMMIT !== 0) continue
      const before = performance.now()
      out.clear()
      window.delta(out)
      deltaNs += (performance.now() - before) * 1e6
      deltaBytes += out.length
      count++
    }
    return ((performance.now() - begin) * 1e6 - deltaNs) / ids.length
  }
  pass()
  const passes = Array.from({ length: 3 }, () => ({ nsPerEvent: pass(), deltaMs: deltaNs / count / 1e6 }))
  const nsPerEvent = Math.min(...passes.map(one => one.nsPerEvent))
  if (!deltas) return { name, nsPerEvent }
  return { name, nsPerEvent, deltaBytes: deltaBytes / count, deltaMs: Math.min(...passes.map(one => one.deltaMs)) }
}

/** The window operator, fed with key bytes and four aggregates: updates by number of keys, and the cost of deltas. */
const benchCore = (): readonly CoreBench[] => {
  const sizes = [1, 1000, 100_000, 1_000_000]
  const updates = sizes.map(keys => feed(`window, ${keys} keys`, arenaOf(keys), uniform(keys, 2_000_000), false))
  const arena = arenaOf(100_000)
  const deltas = [
    feed("window + delta, 100000 keys uniform", arena, uniform(100_000, 1_000_000), true),
    feed("window + delta, 100000 keys Zipf", arena, zipf(100_000, 1_000_000), true)
  ]
  return [...updates, ...deltas]
}

if (import.meta.main) console.table(benchCore())
