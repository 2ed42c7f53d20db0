/** Window joins that take back what no longer holds: late records, early firings, evictors, sessions that become one. */
import { describe, expect, test } from "bun:test"
import { Schema } from "effect"
import fc from "fast-check"
import { type Change, Evictor, explain, Pipeline, Sink, Source, Trigger, toPlan, Window } from "headrace"
import { TestDriver } from "../src/index.ts"

const Event = Schema.Struct({ key: Schema.String, n: Schema.Number, at: Schema.Number })
type Event = typeof Event.Type
const Pair = Schema.Struct({ left: Schema.NullOr(Schema.Number), right: Schema.NullOr(Schema.Number) })
type Pair = typeof Pair.Type
const Both = Schema.Struct({ left: Schema.Array(Schema.Number), right: Schema.Array(Schema.Number) })
const ops = Schema.Literals(["+I", "-U", "+U", "-D"])
type Side = "left" | "right"
type Elements = readonly unknown[]
type Type = "inner" | "left" | "right" | "full"

const sideOf = (topic: Side) =>
  Pipeline.make("joins")
    .from(Source.kafka(topic, Event, { key: "key", eventTime: event => event.at, outOfOrderness: 5 }))
    .keyBy(event => event.key)
const pair = (left: Event | undefined, right: Event | undefined): Pair => ({
  left: left?.n ?? null,
  right: right?.n ?? null
})
const joined = (window: Window.Windowing<Event>, type: Type) =>
  sideOf("left")
    .windowJoin(sideOf("right"), window, { id: "join", type, updates: "retract" }, (one, other) => pair(one, other))
    .to(Sink.kafka("changes", Schema.Struct({ op: ops, record: Pair })))
const repeated = (window: Window.Windowing<Event>, type: Type) =>
  sideOf("left")
    .windowJoin(sideOf("right"), window, { id: "join", type }, (one, other) => pair(one, other))
    .to(Sink.kafka("pairs", Pair))
const numbers = (events: readonly Event[]) => events.map(({ n }) => n)
const grouped = (window: Window.Windowing<Event>) =>
  sideOf("left")
    .coGroup(sideOf("right"), window, { id: "join", updates: "retract" }, (left, right) => ({
      left: numbers(left),
      right: numbers(right)
    }))
    .to(Sink.kafka("changes", Schema.Struct({ op: ops, record: Both })))

const event = (n: number, at: number): Event => ({ key: "a", n, at })
const show = (changes: readonly Change<object>[]) =>
  changes.map(
    ({ op, record }) =>
      `${op} ${Object.values(record)
        .map(one => JSON.stringify(one))
        .join(" ")}`
  )

test("a record that has stayed alone is taken back when a late one comes for it, also after a restart", () => {
  const pipeline = joined(Window.tumbling(10, { allowedLateness: 100 }), "full")
  expect(explain(toPlan(pipeline))).toContain("takes back what it replaces")
  const driver = new TestDriver(pipeline, { watermarks: "manual" })
  driver.push("left", event(1, 1), event(2, 2))
  driver.watermark(20)
  expect(show(driver.values("changes"))).toEqual(["+I 1 null", "+I 2 null"])
  driver.restore()
  driver.push("right", event(3, 3))
  expect(show(driver.values("changes"))).toEqual(["-D 1 null", "-D 2 null", "+I 1 3", "+I 2 3"])
  driver.restore()
  driver.push("left", event(4, 4))
  expect(show(driver.values("changes"))).toEqual(["+I 4 3"])
})

test("without it each firing gives all pairs anew, and takes nothing back: as Flink does", () => {
  const driver = new TestDriver(repeated(Window.tumbling(10, { allowedLateness: 100 }), "left"), {
    watermarks: "manual"
  })
  driver.push("left", event(1, 1), event(2, 2))
  driver.watermark(20)
  driver.push("right", event(3, 3))
  expect(driver.values("pairs")).toEqual([
    { left: 1, right: null },
    { left: 2, right: null },
    { left: 1, right: 3 },
    { left: 2, right: 3 }
  ])
})

test("of a co-group the earlier record is taken back before the new one comes", () => {
  const driver = new TestDriver(grouped(Window.session(10, { allowedLateness: 100 })), { watermarks: "manual" })
  driver.push("left", event(1, 0))
  driver.push("right", event(2, 20))
  driver.watermark(50)
  expect(show(driver.values("changes"))).toEqual(["+I [1] []", "+I [] [2]"])
  driver.restore()
  driver.push("left", event(3, 10))
  expect(show(driver.values("changes"))).toEqual(["-D [1] []", "-U [] [2]", "+U [1,3] [2]"])
})

test("what an evictor takes out of a window that has fired is taken back", () => {
  const window = Window.tumbling<Event>(10, { allowedLateness: 100, evictor: Evictor.last(2) })
  const driver = new TestDriver(joined(window, "full"), { watermarks: "manual" })
  driver.push("left", event(1, 1))
  driver.push("right", event(2, 2))
  driver.watermark(20)
  expect(show(driver.values("changes"))).toEqual(["+I 1 2"])
  driver.push("right", event(3, 3))
  expect(show(driver.values("changes"))).toEqual(["-D 1 2", "+I null 2", "+I null 3"])
  driver.restore()
  driver.push("right", event(4, 4))
  expect(show(driver.values("changes"))).toEqual(["-D null 2", "+I null 4"])
})

/** Rows that are there when changes have been applied in their order. Throws where one takes back what is not there, or doubles what is. */
const apply = (rows: Set<string>, changes: readonly Change<object>[]): void => {
  for (const { op, record } of changes) {
    const row = JSON.stringify(record)
    const isNew = op === "+I" || op === "+U"
    if (rows.has(row) === isNew) throw new Error(`${op} of ${row}, which is ${isNew ? "there already" : "not there"}`)
    if (isNew) rows.add(row)
    else rows.delete(row)
  }
}

const anyEvent = fc.record({
  side: fc.constantFrom<Side>("left", "right"),
  key: fc.constantFrom("a", "b"),
  at: fc.integer({ min: 0, max: 60 }),
  /** Now and then. */
  restored: fc.nat(5).map(n => n === 0)
})
type Case = readonly { readonly side: Side; readonly key: string; readonly at: number; readonly restored: boolean }[]

/** In the order in which they come, which is any: windows wait for all of them. Answers what each step gave. */
const run = (pipeline: Pipeline.Pipeline<never>, all: Case, partitions: number, topic: string): object[][] => {
  const driver = new TestDriver(pipeline, { partitions })
  const steps = all.map(({ side, key, at, restored }, n) => {
    driver.push(side, { key, n, at })
    if (restored) driver.restore()
    return [...driver.values(topic)]
  })
  driver.watermark("end")
  return [...steps, [...driver.values(topic)]]
}

const LATENESS = 1_000
const GRIDS = {
  tumbling: Window.tumbling<Event>(10, { allowedLateness: LATENESS }),
  early: Window.tumbling<Event>(25, { allowedLateness: LATENESS, trigger: Trigger.early({ records: 2 }) })
}

describe("the rows that are left are those of a naive model over all events", () => {
  const isSession = (gap: number, left: Event, right: Event, all: readonly Event[]): boolean => {
    const [from, to] = [Math.min(left.at, right.at), Math.max(left.at, right.at)]
    const between = all.filter(one => one.key === left.key && one.at >= from && one.at <= to)
    const times = between.map(one => one.at).toSorted((a, b) => a - b)
    return times.every((time, i) => i === 0 || time - times[i - 1]! <= gap)
  }
  const WINDOWS = {
    tumbling: [GRIDS.tumbling, (l: Event, r: Event) => Math.floor(l.at / 10) === Math.floor(r.at / 10)],
    early: [GRIDS.early, (l: Event, r: Event) => Math.floor(l.at / 25) === Math.floor(r.at / 25)],
    session: [
      Window.session<Event>(6, { allowedLateness: LATENESS }),
      (l: Event, r: Event, all: readonly Event[]) => isSession(6, l, r, all)
    ]
  } as const
  for (const [name, [window, together]] of Object.entries(WINDOWS))
    test.each(["inner", "left", "right", "full"] as const)(`${name}, %s`, type => {
      fc.assert(
        fc.property(fc.array(anyEvent, { maxLength: 25 }), fc.constantFrom(1, 3), (all, partitions) => {
          const events = all.map(({ key, at }, n): Event => ({ key, n, at }))
          const [lefts, rights] = (["left", "right"] as const).map(side =>
            events.filter(({ n }) => all[n]!.side === side)
          )
          const isPair = (l: Event, r: Event) => l.key === r.key && together(l, r, events)
          const expected = [
            ...lefts!.flatMap(l => rights!.filter(r => isPair(l, r)).map(r => pair(l, r))),
            ...lefts!
              .filter(l => (type === "left" || type === "full") && !rights!.some(r => isPair(l, r)))
              .map(l => pair(l, undefined)),
            ...rights!
              .filter(r => (type === "right" || type === "full") && !lefts!.some(l => isPair(l, r)))
              .map(r => pair(undefined, r))
          ]
          const rows = new Set<string>()
          for (const step of run(joined(window, type), all, partitions, "changes"))
            apply(rows, step as Change<object>[])
          expect([...rows].toSorted()).toEqual(expected.map(row => JSON.stringify(row)).toSorted())
        }),
        { numRuns: 30 }
      )
    })
})

test.each(["inner", "left", "right", "full"] as const)("of windows that overlap each has its own rows, %s", type => {
  const [size, slide] = [20, 10]
  const window = Window.sliding<Event>(size, slide, { allowedLateness: LATENESS })
  fc.assert(
    fc.property(fc.array(anyEvent, { maxLength: 25 }), all => {
      const expected: Pair[] = []
      for (const key of ["a", "b"])
        for (let start = -slide; start <= 60; start += slide) {
          const of = (side: Side) =>
            all.flatMap(({ at, ...one }, n) =>
              one.side === side && one.key === key && at >= start && at < start + size ? [{ key, n, at }] : []
            )
          const [lefts, rights] = [of("left"), of("right")]
          expected.push(...lefts.flatMap(l => rights.map(r => pair(l, r))))
          if (rights.length === 0 && type !== "inner" && type !== "right")
            expected.push(...lefts.map(l => pair(l, undefined)))
          if (lefts.length === 0 && type !== "inner" && type !== "left")
            expected.push(...rights.map(r => pair(undefined, r)))
        }
      const rows: string[] = []
      for (const step of run(joined(window, type), all, 1, "changes"))
        for (const { op, record } of step as Change<object>[]) {
          const row = JSON.stringify(record)
          if (op === "+I") rows.push(row)
          else if (rows.includes(row)) rows.splice(rows.indexOf(row), 1)
          else throw new Error(`${op} of ${row}, which is not there`)
        }
      expect(rows.toSorted()).toEqual(expected.map(row => JSON.stringify(row)).toSorted())
    }),
    { numRuns: 40 }
  )
})

describe("and at each step those that a join without it gave out last", () => {
  /** One window for all time: what it gives out is all that there is. */
  const one = (options: object) => Window.global<Event>({ trigger: Trigger.count(2), ...options })
  const WINDOWS = {
    counted: one({}),
    evicted: one({ evictor: Evictor.last(3) }),
    "evicted by age": one({ evictor: Evictor.within(20) }),
    "evicted wholly, now and then": one({
      evictor: { name: "odd", keep: (all: Elements) => (all.length % 3 === 1 ? [] : all) }
    }),
    "evicted by one that answers in another order": one({
      evictor: { name: "latest", keep: (all: Elements) => all.toReversed().slice(0, 3) }
    }),
    "evicted anywhere": one({
      evictor: { name: "any", keep: (all: Elements) => all.filter((_, i) => i % 3 !== all.length % 3) }
    })
  }
  for (const [name, window] of Object.entries(WINDOWS))
    test.each(["inner", "full"] as const)(`${name}, %s`, type => {
      fc.assert(
        fc.property(fc.array(anyEvent, { maxLength: 30 }), all => {
          const single = all.map(one => ({ ...one, key: "a" }))
          const repeats = run(repeated(window, type), single, 1, "pairs")
          const rows = new Set<string>()
          for (const [i, step] of run(joined(window, type), single, 1, "changes").entries()) {
            apply(rows, step as Change<object>[])
            const now = repeats[i]!.map(row => JSON.stringify(row)).toSorted()
            // A firing that gives nothing out cannot be told from none.
            if (now.length > 0) expect([...rows].toSorted()).toEqual(now)
          }
        }),
        { numRuns: 40 }
      )
    })
})
