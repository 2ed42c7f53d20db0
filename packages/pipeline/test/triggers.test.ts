/** Early and late firings, and triggers and evictors of one's own, through the builder. Each also restored at each step. */
import { describe, expect, test } from "bun:test"
import { Schema } from "effect"
import fc from "fast-check"
import { Agg, Evictor, Pipeline, Sink, Source, Trigger, Window } from "headrace"
import { TestDriver } from "headrace-test"

const Event = Schema.Struct({ key: Schema.String, n: Schema.Number, at: Schema.Number })
const Out = Schema.Struct({ key: Schema.String, windowEnd: Schema.Number, n: Schema.Number, sum: Schema.Number })
const source = Source.kafka("in", Event, { key: "key", eventTime: event => event.at })
const aggregates = { n: Agg.count(), sum: Agg.sum((event: { readonly n: number }) => event.n) }

type Step = readonly [n: number, at: number] | { readonly watermark: number | "end" }

/** The sums that each step gave, of one key. */
const run = (
  window: Window.Windowing<(typeof Event)["Type"]>,
  steps: readonly Step[],
  restores: boolean
): readonly (readonly number[])[] => {
  const pipeline = Pipeline.make("triggers")
    .from(source)
    .keyBy(event => event.key)
    .window(window, aggregates)
    .to(Sink.kafka("out", Out))
  const driver = new TestDriver(pipeline, { watermarks: "manual" })
  return steps.map(step => {
    if ("watermark" in step) driver.watermark(step.watermark)
    else driver.push(source, { key: "a", n: step[0], at: step[1] })
    const sums = driver.values<(typeof Out)["Type"]>("out").map(({ sum }) => sum)
    if (restores) driver.restore()
    return sums
  })
}

const check = (trigger: Trigger.Trigger, table: readonly (readonly [Step, readonly number[]])[]): void => {
  const window = Window.tumbling("10 millis", { allowedLateness: "10 millis", trigger })
  const steps = table.map(([step]) => step)
  const sums = table.map(([, one]) => one)
  expect(run(window, steps, false)).toEqual(sums)
  expect(run(window, steps, true)).toEqual(sums)
}
const to = (watermark: number | "end"): Step => ({ watermark })

describe("early and late results", () => {
  test("by records, all that has come in each", () =>
    check(Trigger.paced({ early: { records: 2 }, late: { records: 3 } }), [
      [[1, 0], []],
      [[2, 5], [3]],
      [[4, 3], []],
      [to(9), [7]],
      [[8, 1], []],
      [[16, 2], []],
      [[32, 2], [63]],
      [[64, 2], []],
      // The window goes, with what it has not given out.
      [to(19), [127]],
      [[1, 2], []],
      [to("end"), []]
    ]))

  test("by records, only what is new in each", () =>
    check(Trigger.purging(Trigger.paced({ early: { records: 2 }, late: { records: 2 } })), [
      [[1, 0], []],
      [[2, 5], [3]],
      // Nothing is new at the end.
      [to(9), []],
      [[8, 1], []],
      [to(19), [8]]
    ]))

  test("by event time, where something is new", () =>
    check(Trigger.early({ every: "3 millis" }), [
      [[1, 0], []],
      [to(2), []],
      [to(3), [1]],
      [to(7), []],
      [[2, 7], []],
      [to(8), []],
      [to(9), [3]],
      // Late ones at once.
      [[4, 9], [7]],
      [to("end"), []]
    ]))

  test("late ones by event time, and when the window goes", () =>
    check(Trigger.late({ every: "4 millis" }), [
      [[1, 0], []],
      [to(10), [1]],
      [[2, 5], []],
      [[4, 5], []],
      [to(11), []],
      [to(12), [7]],
      [to(16), []],
      [[8, 5], []],
      [to(30), [15]]
    ]))

  test("the last result of each window is of all that was not late, whatever the pace", () => {
    const anyPace = fc.oneof(
      fc.integer({ min: 1, max: 4 }).map(records => ({ records })),
      fc.integer({ min: 1, max: 15 }).map(every => ({ every }))
    )
    const anySteps = fc.array(fc.tuple(fc.integer({ min: 1, max: 9 }), fc.nat(60), fc.nat(5)), { maxLength: 30 })
    fc.assert(
      fc.property(fc.option(anyPace), fc.option(anyPace), anySteps, (early, late, events) => {
        const paces = { ...(early !== null && { early }), ...(late !== null && { late }) }
        const results = (trigger: Trigger.Trigger) => {
          const pipeline = Pipeline.make("paced")
            .from(source)
            .keyBy(event => event.key)
            .window(Window.sliding("12 millis", "5 millis", { allowedLateness: "20 millis", trigger }), aggregates, {
              late: Sink.kafka("late", Event)
            })
            .to(Sink.kafka("out", Out))
          const driver = new TestDriver(pipeline, { watermarks: "manual" })
          let time = 0
          for (const [n, at, back] of events) {
            driver.push(source, { key: "a", n, at })
            time = Math.max(time, at - back)
            driver.watermark(time)
          }
          driver.watermark("end")
          const out = driver.values<(typeof Out)["Type"]>("out")
          return { last: new Map(out.map(one => [one.windowEnd, one.sum])), late: driver.values("late") }
        }
        expect(results(Trigger.paced(paces))).toEqual(results(Trigger.eventTime))
      })
    )
  })
})

test("a trigger of one's own: at three records, and at the end", () => {
  const atThree: Trigger.Trigger = {
    name: "at three records",
    onElement: window => {
      window.count++
      window.timer = window.maxTimestamp
      return window.count === 3 ? "fireAndPurge" : "continue"
    },
    onTime: () => "fire",
    onMerge: (into, from) => {
      into.count = Math.max(...from.map(one => one.count))
    }
  }
  check(atThree, [
    [[1, 0], []],
    [[2, 1], []],
    [[4, 2], [7]],
    [[8, 3], []],
    [to(9), [8]]
  ])
})

test("an evictor of one's own: the greatest two times only", () => {
  const newest: Evictor.Evictor = {
    name: "the newest two",
    keep: elements => {
      const times = elements.map(({ timestamp }) => timestamp).sort((a, b) => b - a)
      return elements.filter(({ timestamp }) => timestamp >= (times[1] ?? timestamp))
    }
  }
  const window = Window.tumbling("10 millis", { evictor: newest })
  const steps: readonly Step[] = [[1, 5], [2, 9], [4, 7], to(9)]
  for (const restores of [false, true]) expect(run(window, steps, restores)).toEqual([[], [], [], [6]])
})

test("a trigger of one's own sees the records: at one that says it is the last", () => {
  const atLast: Trigger.Trigger<(typeof Event)["Type"]> = {
    name: "at the last record",
    onElement: (_, __, { n }) => (n === 0 ? "fireAndPurge" : "continue"),
    onTime: () => "continue",
    onMerge: () => {}
  }
  const steps: readonly Step[] = [[1, 0], [2, 30], [0, 1], [4, 2], to("end")]
  for (const window of [
    Window.sliding("100 millis", "100 millis", { trigger: atLast }),
    Window.session("1 second", { trigger: atLast })
  ])
    for (const restores of [false, true]) expect(run(window, steps, restores)).toEqual([[], [], [3], [], []])
})

test("an evictor of one's own sees the records: the greatest stay", () => {
  const greatest = Evictor.ofRecords("the greatest", (all: readonly Evictor.Element<(typeof Event)["Type"]>[]) => {
    const most = Math.max(...all.map(({ record }) => record.n))
    return all.filter(({ record }) => record.n === most)
  })
  const window = Window.tumbling("10 millis", { evictor: greatest, allowedLateness: "10 millis" })
  const steps: readonly Step[] = [[4, 5], [1, 9], [4, 7], to(9), [2, 3], [5, 3]]
  for (const restores of [false, true]) expect(run(window, steps, restores)).toEqual([[], [], [], [8], [8], [5]])
})

test("updates as changes: what a window said is taken back when it says something else", () => {
  const Result = Schema.Struct({ ...Out.fields, windowStart: Schema.Number })
  const Change = Schema.Struct({ op: Schema.String, sum: Schema.Number })
  const pipeline = Pipeline.make("changes")
    .from(source)
    .keyBy(event => event.key)
    .window(Window.tumbling("10 millis", { allowedLateness: "10 millis" }), aggregates)
    .as(Result)
    .keyBy(result => `${result.key}/${result.windowEnd}`)
    .deduplicate({ id: "changes", keep: "last", emit: "changes", ttl: "10 millis" })
    .map(({ op, record }) => ({ op, sum: record.sum }))
    .to(Sink.kafka("out", Change))
  const driver = new TestDriver(pipeline, { watermarks: "manual", partitions: 2 })
  driver.push(source, { key: "a", n: 1, at: 3 })
  driver.watermark(9)
  driver.restore()
  driver.push(source, { key: "a", n: 2, at: 4 })
  expect(driver.values("out")).toEqual([
    { op: "+I", sum: 1 },
    { op: "-U", sum: 1 },
    { op: "+U", sum: 3 }
  ])
})
