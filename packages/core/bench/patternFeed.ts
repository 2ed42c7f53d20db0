import { ByteWriter } from "../src/bytes.ts"
import { keyed, STRING_KEY } from "../src/key.ts"
import type { PatternMatch, PatternMatchOptions } from "../src/operators/patternMatch.ts"

/** One measured case of patterns: the time of a core that an event takes, in ns, what it leaves in the changelog, and what came out of it. */
export interface PatternBench {
  readonly name: string
  readonly nsPerEvent: number
  readonly eventsPerSecond: number
  readonly bytesPerEvent: number
  readonly matches: number
}

export interface Event {
  readonly kind: "payment" | "login" | "failed"
  readonly cents: number
  readonly country: number
}

const KEY_BYTES = 16
const KEYS = 100_000
const EVENTS = 1_000_000
/** What is not measured: until then keys are new, and the compiler's threads, whose time counts, are not done. */
const WARM_UP = 2_000_000
/** The median of so many is told. */
const ROUNDS = 10
/** How many events share a watermark: those of one batch. */
const BATCH = 1_000
export const MINUTE = 60_000
/** A batch of events waits until the watermark is past them, so far behind the last one. */
const BEHIND = 1_000

/** mulberry32: the same events on every run. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

/** Mostly payments of usual size at home; a few of what the patterns begin with. */
const eventsOf = (): readonly Event[] => {
  const next = random(7)
  return Array.from({ length: 65_536 }, () => {
    const [what, size, where] = [next(), next(), next()]
    const kind = what < 0.8 ? "payment" : what < 0.95 ? "login" : "failed"
    const cents = size < 0.05 ? 50 : size > 0.98 ? 90_000 : 2_500
    return { kind, cents, country: where < 0.98 ? 1 : 2 }
  })
}

const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1_000
}

/** Makes the operator that is measured. */
type Make = (options: Omit<PatternMatchOptions, "patterns">) => PatternMatch

/**
 * Feeds `count` events of all keys in rounds, in the order of their times, ten minutes of them to a million, and takes a delta behind
 * each round. Time is that of the processor, so that what else runs on the machine counts less; the collector's threads do.
 */
export const feed = (name: string, operatorOf: Make, keys = KEYS, count = EVENTS, warmUp = WARM_UP): PatternBench => {
  const arena = new Uint8Array(keys * KEY_BYTES)
  for (let i = 0; i < keys; i++)
    new TextEncoder().encodeInto(`card-${String(i).padStart(11, "0")}`, arena.subarray(i * KEY_BYTES))
  const key = keyed()
  key.bytes = arena
  key.kind = STRING_KEY
  let matches = 0
  const output = { next: () => void matches++, watermark: () => {} }
  const codec = { shape: "any" as const, write: (_: unknown, out: ByteWriter) => out.f64(1), read: () => ({}) }
  const operator = operatorOf({ id: "bench", what: "bench", key, codec, output, late: undefined })
  const events = eventsOf()
  const next = random(3)
  const out = new ByteWriter(1 << 20)
  let time = 0
  let bytes = 0
  const pass = (passed: number): void => {
    for (let i = 0; i < passed; i++) {
      key.start = Math.floor(next() * keys) * KEY_BYTES
      key.end = key.start + KEY_BYTES
      time += 0.6
      operator.next(events[i & 65_535]!, time)
      if ((i + 1) % BATCH === 0) operator.watermark(time - BEHIND)
    }
    out.clear()
    operator.delta(out)
    bytes += out.length
  }
  pass(warmUp)
  matches = 0
  bytes = 0
  const rounds = Array.from({ length: ROUNDS }, () => {
    const begin = cpu()
    pass(count / ROUNDS)
    return ((cpu() - begin) / count) * ROUNDS
  })
  const nsPerEvent = rounds.toSorted((a, b) => a - b)[ROUNDS / 2]!
  return {
    name,
    nsPerEvent: Math.round(nsPerEvent),
    eventsPerSecond: Math.round(1e9 / nsPerEvent),
    bytesPerEvent: Math.round(bytes / count),
    matches
  }
}

/** `[from] [to]`, the numbers of cases: a line a case, as they come. */
export const tell = (cases: readonly (() => PatternBench)[]): void => {
  const [from, to] = process.argv.slice(2).map(Number)
  for (const one of cases.slice(from ?? 0, to)) {
    const { name, nsPerEvent, eventsPerSecond, bytesPerEvent, matches } = one()
    console.log(
      `${name}: ${nsPerEvent} ns an event, ${eventsPerSecond} events/s, ${bytesPerEvent} bytes in the changelog, ${matches} matches`
    )
  }
}
