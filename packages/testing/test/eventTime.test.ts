/** Event time through the builder: custom watermarks, and partitions and sources without records. */
import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Agg, Pipeline, Sink, Source, Window } from "headrace"
import { TestDriver } from "../src/index.ts"

const Reading = Schema.Struct({ meter: Schema.String, place: Schema.String, n: Schema.Number, at: Schema.Number })
type Reading = typeof Reading.Type
const Count = Schema.Struct({ key: Schema.String, windowEnd: Schema.Number, n: Schema.Number })
const reading = (meter: string, at: number, n = 1): Reading => ({ meter, place: "here", n, at })

/** Windows of ten by place, which the readings' topic is not partitioned by. */
const byPlace = (options: Parameters<typeof Source.kafka<typeof Reading>>[2]) =>
  Pipeline.make("readings")
    .from(Source.kafka("readings", Reading, { key: "meter", eventTime: r => r.at, ...options }))
    .keyBy(r => r.place)
    .window(Window.tumbling(10), { n: Agg.sum((r: Reading) => r.n) })
    .to(Sink.kafka("out", Count))
const sums = (driver: TestDriver) => driver.values<typeof Count.Type>("out").map(({ windowEnd, n }) => [windowEnd, n])

test("a partition without records is waited for, and behind its time-out it is not", () => {
  const driver = new TestDriver(byPlace({ idleTimeout: "1 second" }), { partitions: 2 })
  driver.pushTo("readings", reading("a", 5), { partition: 0 })
  driver.pushTo("readings", reading("a", 30), { partition: 0 })
  driver.advance("1 second")
  expect(sums(driver)).toEqual([])
  driver.pushTo("readings", reading("a", 31), { partition: 0 })
  driver.restore()
  driver.advance("1 millis")
  expect(sums(driver)).toEqual([[10, 1]])
  // It counts again from its next record on, which is late here, and holds up what comes behind it.
  driver.pushTo("readings", reading("b", 32), { partition: 1 })
  driver.pushTo("readings", reading("a", 50), { partition: 0 })
  expect(sums(driver)).toEqual([])
  driver.pushTo("readings", reading("b", 41), { partition: 1 })
  expect(sums(driver)).toEqual([[40, 3]])
})

test("a side of a join without records holds up the other for no longer than its time-out", () => {
  const side = (topic: string) =>
    Pipeline.make("pairs")
      .from(Source.kafka(topic, Reading, { key: "meter", eventTime: r => r.at, idleTimeout: "1 second" }))
      .keyBy(r => r.meter)
  const pairs = side("left")
    .intervalJoin(side("right"), { id: "pairs", from: 0, to: 10, type: "left" }, (l, r) => ({
      at: l.at,
      n: r?.n ?? null
    }))
    .to(Sink.kafka("out", Schema.Struct({ at: Schema.Number, n: Schema.NullOr(Schema.Number) })))
  const driver = new TestDriver(pairs)
  driver.push("left", reading("a", 1))
  driver.advance("2 seconds")
  driver.push("left", reading("a", 100))
  expect(driver.values("out")).toEqual([{ at: 1, n: null }])
  driver.push("right", reading("a", 105, 7))
  expect(driver.values("out")).toEqual([{ at: 100, n: 7 }])
})

test("watermarks of one's own remember what their partition has seen, and do not go back when they begin anew", () => {
  const made: number[] = []
  /** Twice the greatest delay so far behind the greatest time so far. */
  const adaptive = () => {
    let [latest, delay] = [Number.NEGATIVE_INFINITY, 0]
    made.push(1)
    return ({ at }: Reading) => {
      delay = Math.max(delay, latest - at)
      latest = Math.max(latest, at)
      return latest - 2 * delay - 1
    }
  }
  const driver = new TestDriver(byPlace({ watermarks: adaptive }), { partitions: 2 })
  const push = (partition: number, at: number) => driver.pushTo("readings", reading(`p${partition}`, at), { partition })
  push(0, 20)
  push(1, 5)
  expect(made.length).toBe(2)
  push(0, 11)
  push(0, 35) // 11 came 9 late: the first partition is at 16, and was at 19
  expect(sums(driver)).toEqual([])
  push(1, 35)
  expect(sums(driver)).toEqual([
    [10, 1],
    [20, 1]
  ])
  push(0, 49)
  expect(sums(driver)).toEqual([[30, 1]])
  driver.restore()
  expect(made.length).toBe(4)
  push(0, 12) // late: it makes the new one say 11, and nothing goes back to that
  push(1, 70)
  expect(sums(driver)).toEqual([])
  push(0, 41)
  expect(sums(driver)).toEqual([[40, 2]])
})
