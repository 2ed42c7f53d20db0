import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Pattern, Pipeline, Sink, Source } from "headrace"
import { TestDriver } from "../src/index.ts"

const Event = Schema.Struct({ card: Schema.String, what: Schema.String, cents: Schema.Number, at: Schema.Number })
type Event = (typeof Event)["Type"]
const Found = Schema.Struct({ key: Schema.String, what: Schema.String, at: Schema.Array(Schema.Number) })
const source = Source.kafka("events", Event, { key: "card", eventTime: e => e.at })
const found = Sink.kafka("found", Found)
const over = Sink.kafka("over", Found)
const events = () =>
  Pipeline.make("test")
    .from(source)
    .keyBy(e => e.card)
const event = (card: string, at: number, what: string, cents = 0): Event => ({ card, what, cents, at })
const times = (all: readonly Event[] | undefined): readonly number[] => (all ?? []).map(({ at }) => at)

const isFailed = (e: Event): boolean => e.what === "failed"
const guessed = Pattern.begin("failed", isFailed)
  .times(3)
  .followedBy("payment", (e: Event) => e.what === "payment")
  .within("10 minutes")
  .skipPastLast()
/** Every event begins it, and the next one ends it. */
const silent = Pattern.begin("last", (_: Event) => true)
  .notFollowedBy("any")
  .within("1 minute")

test("nothing at all from a key for a minute: seen when the watermark passes, without a further event of it", () => {
  const pipeline = events()
    .match("silent", silent, { select: (match, key) => ({ key, what: "silent", at: times(match.last) }) })
    .to(found)
  const driver = new TestDriver(pipeline, { watermarks: "manual" })
  driver.push(source, event("a", 1_000, "login"), event("a", 50_000, "login"), event("b", 2_000, "login"))
  driver.watermark(61_999)
  expect(driver.values(found)).toEqual([])
  driver.restore()
  driver.watermark(62_000)
  expect(driver.values(found)).toEqual([{ key: "b", what: "silent", at: [2_000] }])
  driver.watermark(110_000)
  expect(driver.values(found)).toEqual([{ key: "a", what: "silent", at: [50_000] }])
})

test("no answer within five minutes of a question; an answer in time, and then it is no match", () => {
  const unanswered = Pattern.begin("asked", (e: Event) => e.what === "asked")
    .notFollowedBy("answered", (e: Event) => e.what === "answered")
    .within("5 minutes")
  const pipeline = events()
    .match("unanswered", unanswered, { select: (match, key) => ({ key, what: "unanswered", at: times(match.asked) }) })
    .to(found)
  const driver = new TestDriver(pipeline, { watermarks: "manual" })
  driver.push(source, event("a", 0, "asked"), event("b", 0, "asked"), event("b", 299_999, "answered"))
  driver.watermark(300_000)
  expect(driver.values(found)).toEqual([{ key: "a", what: "unanswered", at: [0] }])
  driver.watermark("end")
  expect(driver.values(found)).toEqual([])
})

const both = () => {
  const matched = events().matchAll("fraud", [
    Pattern.select("guessed", guessed, {
      select: (match, key: string) => ({ key, what: "guessed", at: times(match.payment) }),
      timedOut: (partial, key: string) => ({ key, what: "guessed", at: times(partial.failed) })
    }),
    Pattern.select("silent", silent, {
      select: (match, key: string) => ({ key, what: "silent", at: times(match.last) })
    })
  ])
  return Pipeline.all(matched.to(found), matched.timedOut.to(over))
}

test("several patterns over the same events, each with matches, time and state of its own", () => {
  const driver = new TestDriver(both(), { watermarks: "manual" })
  for (const at of [1_000, 2_000, 3_000]) {
    driver.push(source, event("a", at, "failed"))
    driver.watermark(at)
    driver.restore()
  }
  driver.push(source, event("a", 4_000, "payment"), event("b", 5_000, "failed"))
  driver.watermark(64_000)
  expect(driver.values(found)).toEqual([
    { key: "a", what: "guessed", at: [4_000] },
    { key: "a", what: "silent", at: [4_000] }
  ])
  driver.watermark(605_000)
  expect(driver.values(found)).toEqual([{ key: "b", what: "silent", at: [5_000] }])
  expect(driver.values(over)).toEqual([{ key: "b", what: "guessed", at: [5_000] }])
})

test("a match has all of its steps: of one that was left out no events", () => {
  const paid = Pattern.begin("asked", (e: Event) => e.what === "asked")
    .followedBy("doubted", (e: Event) => e.what === "doubted")
    .optional()
    .followedByGroup(
      Pattern.begin("first", (e: Event) => e.what === "first").next("second", (e: Event) => e.what === "second")
    )
    .optional()
    .next("paid", (e: Event) => e.what === "paid")
  const pipeline = events()
    .match("paid", paid, {
      select: ({ asked, doubted, first, second, paid }, key) => ({
        key,
        what: "paid",
        at: [asked, doubted, first, second, paid].map(step => step.length)
      })
    })
    .to(found)
  const driver = new TestDriver(pipeline, { watermarks: "manual" })
  driver.push(source, event("a", 1_000, "asked"), event("a", 2_000, "paid"))
  driver.push(source, event("b", 1_000, "asked"), event("b", 2_000, "doubted"), event("b", 3_000, "paid"))
  driver.watermark("end")
  expect(driver.values<(typeof Found)["Type"]>(found).map(({ key, at }) => [key, ...at])).toEqual([
    ["a", 1, 0, 0, 0, 1],
    ["b", 1, 1, 0, 0, 1]
  ])
})

test("its steps are in the order of their first events, then those without, and nothing else is in it", () => {
  const is = (what: string) => (e: Event) => e.what === what
  const paid = Pattern.begin("asked", is("asked"))
    .followedBy("doubted", is("doubted"))
    .optional()
    .followedByGroup(
      Pattern.begin("first", is("first")).notFollowedBy("left", is("left")).followedBy("last", is("last"))
    )
    .optional()
    .next("paid", is("paid"))
  const seen: (readonly [string, number])[][] = []
  const pipeline = events()
    .match("paid", paid, {
      select: (match, key) => {
        seen.push(Object.entries(match).map(([step, all]) => [step, all.length]))
        // A list of no events is of this match alone.
        ;(match.first as Event[]).push(match.paid[0]!)
        return { key, what: "paid", at: [] }
      }
    })
    .to(found)
  const driver = new TestDriver(pipeline, { watermarks: "manual" })
  for (const [i, what] of ["asked", "doubted", "paid", "asked", "paid"].entries())
    driver.push(source, event("a", i * 1_000, what))
  driver.watermark("end")
  expect(seen).toContainEqual([
    ...[
      ["asked", 1],
      ["doubted", 1],
      ["paid", 1]
    ],
    ...[
      ["first", 0],
      ["last", 0]
    ]
  ] as never)
  expect(seen).toContainEqual([
    ...[
      ["asked", 1],
      ["paid", 1]
    ],
    ...[
      ["doubted", 0],
      ["first", 0],
      ["last", 0]
    ]
  ] as never)
})

test("two patterns of one step have ids of their own, and a limit is a number of matches", () => {
  const one = Pattern.select("same", guessed, { select: (_, key: string) => ({ key, what: "", at: [] }) })
  expect(() => events().matchAll("fraud", [one, one])).toThrow('fraud looks for two patterns called "same"')
  expect(() => events().matchAll("fraud", [])).toThrow("fraud looks for no pattern")
  expect(() => events().matchAll("fraud", [one], { maxPartials: 0 })).toThrow("maxPartials of fraud")
})
