import { ByteWriter } from "../src/bytes.ts"
import { keyed, STRING_KEY } from "../src/key.ts"
import type { Input } from "../src/operator.ts"
import { PatternMatch } from "../src/operators/patternMatch.ts"
import type { PatternOf } from "../src/pattern/set.ts"
import type { Condition, Pattern, Step, Taken } from "../src/pattern/spec.ts"

/** One measured case: the time of a core that an event takes, in ns, what it leaves in the changelog, and what came out of it. */
export interface PatternBench {
  readonly name: string
  readonly nsPerEvent: number
  readonly eventsPerSecond: number
  readonly bytesPerEvent: number
  readonly matches: number
}

interface Event {
  readonly kind: "payment" | "login" | "failed"
  readonly cents: number
  readonly country: number
}

const KEY_BYTES = 16
const KEYS = 100_000
const EVENTS = 1_000_000
/** What is not measured, since it is compiled meanwhile, and keys are new. */
const WARM_UP = 400_000
/** The median of so many is told. */
const ROUNDS = 10
/** How many events share a watermark: those of one batch. */
const BATCH = 1_000
const MINUTE = 60_000

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

const test = (holds: (event: Event) => boolean): Condition => ({ kind: "test", test: holds })
const pattern = (
  id: string,
  steps: readonly Step[],
  withinMs: number,
  skip: Pattern["skip"] = { kind: "none" }
): PatternOf => ({
  id,
  pattern: { steps, withinMs, skip },
  what: id,
  select: () => ({ id })
})

const isPayment = (event: Event): boolean => event.kind === "payment"
const failed = test(event => event.kind === "failed")
const payment = test(isPayment)

/** The four of the payments pipeline. */
const fraud: readonly PatternOf[] = [
  pattern(
    "trial",
    [
      { name: "small", where: test(event => isPayment(event) && event.cents < 100) },
      { name: "large", contiguity: "followedBy", where: test(event => isPayment(event) && event.cents > 50_000) }
    ],
    MINUTE,
    { kind: "pastLast" }
  ),
  pattern(
    "guessed",
    [
      { name: "failed", where: failed, times: { from: 3, to: 3 } },
      { name: "payment", contiguity: "followedBy", where: payment }
    ],
    10 * MINUTE,
    { kind: "pastLast" }
  ),
  pattern(
    "travels",
    [
      { name: "abroad", where: test(event => isPayment(event) && event.country !== 1) },
      {
        name: "elsewhere",
        contiguity: "followedBy",
        where: {
          kind: "iterative",
          test: (event: Event, taken: Taken) =>
            isPayment(event) && event.country !== (taken.of("abroad")[0] as Event).country
        }
      }
    ],
    10 * MINUTE,
    { kind: "pastLast" }
  ),
  pattern(
    "silent",
    [
      { name: "last", where: payment },
      { name: "any", contiguity: "notFollowedBy" }
    ],
    MINUTE
  )
]

/** Patterns as rules would be: of each amount, shared by a tenth of them, one that hardly ever comes twice. */
const many = (count: number): readonly PatternOf[] => {
  const amounts = Array.from({ length: Math.ceil(count / 10) }, (_, i) =>
    test(event => isPayment(event) && event.cents === 90_000 + i)
  )
  return Array.from({ length: count }, (_, i) =>
    pattern(
      `rule ${i}`,
      [
        { name: "first", where: amounts[i % amounts.length]! },
        { name: "second", contiguity: "followedBy", where: failed }
      ],
      MINUTE
    )
  )
}

/** So many steps, each of which is begun by most events of the one before it. */
const long = (length: number): readonly PatternOf[] => [
  pattern(
    "long",
    Array.from(
      { length },
      (_, i): Step => ({
        name: `step ${i}`,
        ...(i === 0 ? { where: failed } : { contiguity: "followedBy" as const, where: payment })
      })
    ),
    MINUTE
  )
]

/** Every event doubles the partial matches: bounded by their limit alone. */
const worst: readonly PatternOf[] = [
  pattern(
    "worst",
    [
      { name: "first", where: payment },
      {
        name: "more",
        contiguity: "followedByAny",
        where: payment,
        times: { from: 1, to: Number.POSITIVE_INFINITY },
        inner: "combinations"
      },
      { name: "end", contiguity: "followedByAny", where: failed }
    ],
    100 * MINUTE
  )
]

const cpu = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1_000
}

/**
 * Feeds `count` events of all keys in rounds, in the order of their times, ten minutes of them to a million, and takes a delta behind
 * each round. Time is that of the processor, so that what else runs on the machine counts less; the collector's threads do.
 */
const feed = (
  name: string,
  patterns: readonly PatternOf[],
  keys = KEYS,
  count = EVENTS,
  warmUp = WARM_UP
): PatternBench => {
  const arena = new Uint8Array(keys * KEY_BYTES)
  for (let i = 0; i < keys; i++)
    new TextEncoder().encodeInto(`card-${String(i).padStart(11, "0")}`, arena.subarray(i * KEY_BYTES))
  const key = keyed()
  key.bytes = arena
  key.kind = STRING_KEY
  let matches = 0
  const output: Input = { next: () => void matches++, watermark: () => {} }
  const codec = { shape: "any" as const, write: (_: unknown, out: ByteWriter) => out.f64(1), read: () => ({}) }
  const operator = new PatternMatch({ id: "bench", patterns, what: "bench", key, codec, output, late: undefined })
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
      if ((i + 1) % BATCH === 0) operator.watermark(time - 1_000)
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

/** The pattern operator by number of patterns and by their length, and where partial matches are bounded by their limit alone. */
const cases: readonly (() => PatternBench)[] = [
  () => feed("four fraud patterns, 100000 keys", fraud),
  () => feed("the three of them that an event seldom begins", fraud.slice(0, 3)),
  ...[1, 10, 100, 1_000].map(count => () => feed(`${count} patterns, 100000 keys`, many(count))),
  ...[2, 4, 8, 16].map(length => () => feed(`a pattern of ${length} steps, 100000 keys`, long(length))),
  () => feed("followedByAny oneOrMore with combinations, 10 keys", worst, 10, 20_000, 4_000)
]

/** `bun packages/core/bench/pattern.ts [from]`: a line a case, as they come. */
if (import.meta.main)
  for (const one of cases.slice(Number(process.argv[2] ?? 0))) {
    const { name, nsPerEvent, eventsPerSecond, bytesPerEvent, matches } = one()
    console.log(
      `${name}: ${nsPerEvent} ns an event, ${eventsPerSecond} events/s, ${bytesPerEvent} bytes in the changelog, ${matches} matches`
    )
  }
