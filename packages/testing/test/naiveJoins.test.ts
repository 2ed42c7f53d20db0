/**
 * Joins against a naive model over all events at once: inner ones and outer ones, which Flink's cases do not have, in any order within
 * the bound, restored at any time, over one partition and over several.
 */
import { describe, expect, test } from "bun:test"
import { Schema } from "effect"
import fc from "fast-check"
import { Pipeline, Sink, Source, Window } from "headrace"
import { TestDriver } from "../src/index.ts"

const Event = Schema.Struct({ key: Schema.String, n: Schema.Number, at: Schema.Number })
type Event = typeof Event.Type
const Pair = Schema.Struct({ left: Schema.NullOr(Schema.Number), right: Schema.NullOr(Schema.Number) })
type Type = "inner" | "left" | "right" | "full"
type Side = "left" | "right"
const BOUND = 15

const sideOf = (topic: Side) =>
  Pipeline.make("joins")
    .from(Source.kafka(topic, Event, { key: "key", eventTime: event => event.at, outOfOrderness: BOUND }))
    .keyBy(event => event.key)
const pair = (left: Event | undefined, right: Event | undefined) => ({ left: left?.n ?? null, right: right?.n ?? null })
const late = { left: Sink.kafka("late", Event), right: Sink.kafka("late", Event, { id: "late-right" }) }

/** A join of a type, and which pairs belong together among all events. */
interface Join {
  readonly of: (type: Type) => Pipeline.Pipeline<never>
  readonly together: (left: Event, right: Event, all: readonly Event[]) => boolean
}

const windowed = (window: Window.Windowing<Event>, together: Join["together"]): Join => ({
  of: type =>
    sideOf("left")
      .windowJoin(sideOf("right"), window, { id: "join", type, late }, (one, other) => pair(one, other))
      .to(Sink.kafka("pairs", Pair)),
  together
})

/** All of a key between two times, with no gap in between. */
const isSession = (gap: number, left: Event, right: Event, all: readonly Event[]): boolean => {
  const [from, to] = [Math.min(left.at, right.at), Math.max(left.at, right.at)]
  const times = all.filter(one => one.key === left.key && one.at >= from && one.at <= to).map(one => one.at)
  const sorted = times.toSorted((a, b) => a - b)
  return sorted.every((time, i) => i === 0 || time - sorted[i - 1]! <= gap)
}

const JOINS: Readonly<Record<string, (a: number, b: number) => Join>> = {
  interval: (a, b) => {
    const [from, to] = [Math.min(a, b), Math.max(a, b)]
    return {
      of: type =>
        sideOf("left")
          .intervalJoin(sideOf("right"), { id: "join", from, to, type, late }, (one, other) => pair(one, other))
          .to(Sink.kafka("pairs", Pair)),
      together: (left, right) => right.at - left.at >= from && right.at - left.at <= to
    }
  },
  "in tumbling windows": a => {
    const size = 1 + Math.abs(a)
    return windowed(Window.tumbling(size), (left, right) => Math.floor(left.at / size) === Math.floor(right.at / size))
  },
  "in sessions": a => {
    const gap = 1 + Math.abs(a)
    return windowed(Window.session(gap), (left, right, all) => isSession(gap, left, right, all))
  }
}

const naive = (type: Type, lefts: readonly Event[], rights: readonly Event[], { together }: Join) => {
  const all = [...lefts, ...rights]
  const isPair = (left: Event, right: Event) => left.key === right.key && together(left, right, all)
  return [
    ...lefts.flatMap(left => rights.filter(right => isPair(left, right)).map(right => pair(left, right))),
    ...lefts
      .filter(left => (type === "left" || type === "full") && !rights.some(right => isPair(left, right)))
      .map(left => pair(left, undefined)),
    ...rights
      .filter(right => (type === "right" || type === "full") && !lefts.some(left => isPair(left, right)))
      .map(right => pair(undefined, right))
  ]
}

const anyEvent = fc.record({
  side: fc.constantFrom<Side>("left", "right"),
  key: fc.constantFrom("a", "b"),
  at: fc.integer({ min: -50, max: 50 }),
  delay: fc.nat(BOUND),
  /** Now and then. */
  restored: fc.nat(9).map(n => n === 0)
})
const sorted = (rows: readonly object[]) => rows.map(row => JSON.stringify(row)).toSorted()

for (const [name, joinOf] of Object.entries(JOINS))
  describe(name, () => {
    for (const type of ["inner", "left", "right", "full"] as const)
      test(type, () => {
        const anyBound = fc.integer({ min: -20, max: 20 })
        fc.assert(
          fc.property(
            fc.array(anyEvent, { maxLength: 30 }),
            anyBound,
            anyBound,
            fc.constantFrom(1, 3),
            (all, a, b, partitions) => {
              const join = joinOf(a, b)
              const events = all.map(({ key, at }, n): Event => ({ key, n, at }))
              const of = (side: Side) => events.filter((_, i) => all[i]!.side === side)
              const driver = new TestDriver(join.of(type), { partitions })
              // Each comes up to the bound later than its time says.
              for (const { n } of events.toSorted(
                (one, other) => one.at + all[one.n]!.delay - other.at - all[other.n]!.delay
              )) {
                driver.push(all[n]!.side, events[n]!)
                if (all[n]!.restored) driver.restore()
              }
              driver.watermark("end")
              expect(driver.values("late")).toEqual([])
              expect(sorted(driver.values("pairs"))).toEqual(sorted(naive(type, of("left"), of("right"), join)))
            }
          ),
          { numRuns: 25 }
        )
      })
  })
