import { PatternMatch } from "../src/operators/patternMatch.ts"
import type { PatternOf } from "../src/pattern/set.ts"
import type { Condition, Pattern, Step, Taken } from "../src/pattern/spec.ts"
import { type Event, feed, MINUTE, type PatternBench, tell } from "./patternFeed.ts"

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

const matching = (name: string, patterns: readonly PatternOf[], ...amounts: readonly number[]): PatternBench =>
  feed(name, options => new PatternMatch({ ...options, patterns }), ...amounts)

/** The pattern operator by number of patterns and by their length, and where partial matches are bounded by their limit alone. */
const cases: readonly (() => PatternBench)[] = [
  () => matching("four fraud patterns, 100000 keys", fraud),
  () => matching("the three of them that an event seldom begins", fraud.slice(0, 3)),
  ...[1, 10, 100, 1_000].map(count => () => matching(`${count} patterns, 100000 keys`, many(count))),
  ...[2, 4, 8, 16].map(length => () => matching(`a pattern of ${length} steps, 100000 keys`, long(length))),
  () => matching("followedByAny oneOrMore with combinations, 10 keys", worst, 10, 20_000, 4_000)
]

/** `bun packages/core/bench/pattern.ts [from] [to]`. */
if (import.meta.main) tell(cases)
