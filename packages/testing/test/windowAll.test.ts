/** Windows over all keys, and windows that take back what they replace. */
import { describe, expect, test } from "bun:test"
import { Schema } from "effect"
import fc from "fast-check"
import { Agg, type Change, Evictor, explain, Pipeline, Sink, Source, Trigger, toPlan, Window } from "headrace"
import { TestDriver } from "../src/index.ts"

const Payment = Schema.Struct({ account: Schema.String, cents: Schema.Int, at: Schema.Int })
type Payment = typeof Payment.Type
const BOUND_MS = 20

const source = Source.kafka("payments", Payment, { eventTime: p => p.at, outOfOrderness: BOUND_MS, key: "account" })
const payments = () => Pipeline.make("all").from(source)
const aggregates = {
  n: Agg.count(),
  sum: Agg.sum((p: Payment) => p.cents),
  min: Agg.min((p: Payment) => p.cents),
  max: Agg.max((p: Payment) => p.cents),
  average: Agg.average((p: Payment) => p.cents),
  spread: Agg.standardDeviation((p: Payment) => p.cents),
  accounts: Agg.distinctCount((p: Payment) => p.account),
  about: Agg.approximateDistinctCount((p: Payment) => p.account),
  exact: Agg.sumBigint((p: Payment) => BigInt(p.cents))
}
/** Its records as they come. */
const Anything = Schema.Struct({
  windowStart: Schema.Int,
  windowEnd: Schema.Int,
  n: Schema.Int,
  sum: Schema.Int,
  min: Schema.Int,
  max: Schema.Int,
  average: Schema.Number,
  spread: Schema.Number,
  accounts: Schema.Int,
  about: Schema.Int,
  exact: Schema.BigInt
})
const out = Sink.kafka("totals", Anything)

const GRIDS = {
  tumbling: Window.tumbling(50, { allowedLateness: 30 }),
  shifted: Window.tumbling(50, { offset: 7 }),
  sliding: Window.sliding(100, 20, { allowedLateness: 10 }),
  uneven: Window.sliding(70, 30),
  gaps: Window.sliding(20, 50),
  cumulative: Window.cumulative(100, 25, { allowedLateness: 40 }),
  days: Window.calendar("day")
}

/** Steps: a payment in a partition, or a restart. */
const steps = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        partition: fc.nat(2),
        late: fc.nat(90),
        ahead: fc.nat(30),
        cents: fc.integer({ min: -99, max: 99 }),
        account: fc.nat(5)
      })
    },
    { weight: 1, arbitrary: fc.constant("restore" as const) }
  ),
  { maxLength: 60 }
)
type Steps = typeof steps extends fc.Arbitrary<infer A> ? A : never

const rounded = (row: object): string =>
  JSON.stringify(row, (_, value: unknown) =>
    typeof value === "bigint" ? `${value}n` : typeof value === "number" ? Number(value.toFixed(6)) : value
  )

/** What comes out behind each step, and at the end. */
const run = (pipeline: Pipeline.Pipeline<never>, all: Steps, partitions: number): readonly (readonly string[])[] => {
  const driver = new TestDriver(pipeline, { partitions })
  let time = 1_000
  const found = all.map(step => {
    if (step === "restore") driver.restore()
    else {
      time += step.ahead
      const payment = { account: `a${step.account}`, cents: step.cents, at: time - step.late }
      driver.pushTo("payments", payment, { partition: step.partition % partitions })
    }
    return driver.values("totals").map(rounded)
  })
  driver.watermark("end")
  return [...found, driver.values("totals").map(rounded)]
}

describe("a window over all keys in two phases", () => {
  const dropKey = <A extends object>({ key: _, ...rest }: A & { readonly key: string }) => rest
  for (const [name, window] of Object.entries(GRIDS))
    for (const partitions of [1, 3])
      test(`is the window of one key that all have: ${name}, ${partitions} partitions`, () => {
        const folded = payments().windowAll(window, aggregates).to(out)
        const plain = payments()
          .keyBy(() => "")
          .window(window, aggregates)
          .map(dropKey)
          .to(out)
        expect(explain(toPlan(folded))).toContain("in two phases")
        fc.assert(
          fc.property(steps, all => {
            expect(run(folded, all, partitions)).toEqual(run(plain, all, partitions))
          }),
          { numRuns: 25 }
        )
      })

  test("holds each payment in time once, whatever its partition", () => {
    fc.assert(
      fc.property(steps, all => {
        const found = run(
          payments().windowAll(Window.tumbling(50), { n: Agg.count() }).to(Sink.kafka("totals", Count)),
          all,
          3
        )
        const counts = found.flat().map(row => (JSON.parse(row) as { readonly n: number }).n)
        const sent = all.filter(step => step !== "restore")
        const onTime = sent.filter(({ late }) => late <= BOUND_MS)
        const sum = counts.reduce((total, n) => total + n, 0)
        expect(sum).toBeLessThanOrEqual(sent.length)
        if (onTime.length === sent.length) expect(sum).toBe(sent.length)
      }),
      { numRuns: 25 }
    )
  })

  test("what has to see each record is not folded before", () => {
    const shown = (pipeline: Pipeline.Pipeline<never>) => explain(toPlan(pipeline))
    const sessions = payments().windowAll(Window.session(10), { n: Agg.count() }).to(Sink.kafka("totals", Count))
    expect(shown(sessions)).toContain("over all keys, state")
    expect(shown(sessions)).not.toContain("folded")
    const late = payments()
      .windowAll(Window.tumbling(10), { n: Agg.count() }, { late: Sink.kafka("late", Payment) })
      .to(Sink.kafka("totals", Count))
    expect(shown(late)).not.toContain("folded")
    const driver = new TestDriver(late)
    driver.push("payments", { account: "a", cents: 1, at: 100 }, { account: "a", cents: 1, at: 1 })
    expect(driver.values("late")).toEqual([{ account: "a", cents: 1, at: 1 }])
  })
})

const Count = Schema.Struct({ windowStart: Schema.Int, windowEnd: Schema.Int, n: Schema.Int })
const Counted = Schema.Struct({ op: Schema.Literals(["+I", "-U", "+U", "-D"]), record: Count })
const changes = Sink.kafka("totals", Counted)
type Row = typeof Count.Type

/** What is left when changes have been applied in their order. Throws where one takes back what is not there. */
const applied = (all: readonly Change<Row>[]): readonly string[] => {
  const rows: string[] = []
  for (const { op, record } of all) {
    const row = JSON.stringify(record)
    if (op === "+I" || op === "+U") rows.push(row)
    else if (rows.includes(row)) rows.splice(rows.indexOf(row), 1)
    else throw new Error(`${op} of ${row}, which is not there`)
  }
  return rows.toSorted()
}

describe("results that take the place of others", () => {
  test("are taken back before that, as Flink's changelog has it", () => {
    const counts = payments()
      .keyBy(p => p.account)
      .window(Window.tumbling(50, { allowedLateness: 100 }), { n: Agg.count() }, { updates: "retract" })
      .to(changes)
    expect(explain(toPlan(counts))).toContain("takes back what it replaces")
    const driver = new TestDriver(counts)
    const pay = (at: number) => driver.push("payments", { account: "a", cents: 1, at })
    pay(10)
    pay(100)
    const row = (n: number) => ({ windowStart: 0, windowEnd: 50, n })
    expect(driver.values("totals")).toEqual([{ op: "+I", record: row(1) }])
    driver.restore()
    pay(20)
    expect(driver.values("totals")).toEqual([
      { op: "-U", record: row(1) },
      { op: "+U", record: row(2) }
    ])
  })

  test("early firings are replaced, and one that says the same is not said again", () => {
    const early = Window.tumbling(50, { trigger: Trigger.early({ records: 2 }) })
    const counts = payments()
      .keyBy(p => p.account)
      .window(early, { n: Agg.count() }, { updates: "retract" })
      .to(changes)
    const driver = new TestDriver(counts)
    for (const at of [1, 2, 3, 4]) driver.push("payments", { account: "a", cents: 1, at })
    driver.watermark("end")
    expect(driver.values<Change<Row>>("totals").map(({ op, record }) => `${op} ${record.n}`)).toEqual([
      "+I 2",
      "-U 2",
      "+U 4"
    ])
  })

  test("of sessions that become one all are taken back", () => {
    const sessions = Window.session(10, { allowedLateness: 1_000 })
    const counts = payments()
      .keyBy(p => p.account)
      .window(sessions, { n: Agg.count() }, { updates: "retract" })
      .to(changes)
    const driver = new TestDriver(counts, { watermarks: "manual" })
    const pay = (at: number) => driver.push("payments", { account: "a", cents: 1, at })
    pay(0)
    pay(20)
    driver.watermark(100)
    driver.restore()
    pay(10)
    const row = (windowStart: number, windowEnd: number, n: number) => ({ windowStart, windowEnd, n })
    expect(driver.values("totals")).toEqual([
      { op: "+I", record: row(0, 10, 1) },
      { op: "+I", record: row(20, 30, 1) },
      { op: "-D", record: row(0, 10, 1) },
      { op: "-U", record: row(20, 30, 1) },
      { op: "+U", record: row(0, 30, 3) }
    ])
  })

  const WINDOWS = {
    tumbling: Window.tumbling(50, { allowedLateness: 60 }),
    sliding: Window.sliding(100, 20, { allowedLateness: 30 }),
    session: Window.session(15, { allowedLateness: 60 }),
    early: Window.tumbling(80, {
      allowedLateness: 60,
      trigger: Trigger.paced({ early: { every: 10 }, late: { records: 2 } })
    }),
    "keeping the last two": Window.sliding(100, 40, { allowedLateness: 60, evictor: Evictor.last(2) }),
    "sessions, keeping the last two": Window.session(15, { allowedLateness: 60, evictor: Evictor.last(2) })
  }
  for (const [name, window] of Object.entries(WINDOWS))
    test(`leave what upserts leave: ${name}`, () => {
      const upserts = payments().windowAll(window, { n: Agg.count() }).to(Sink.kafka("totals", Count))
      const retracts = payments().windowAll(window, { n: Agg.count() }, { updates: "retract" }).to(changes)
      fc.assert(
        fc.property(steps, all => {
          const rows = run(upserts, all, 3)
            .flat()
            .map(row => JSON.parse(row) as Row)
          const last = new Map(rows.map(row => [`${row.windowStart}/${row.windowEnd}`, JSON.stringify(row)]))
          const left = applied(
            run(retracts, all, 3)
              .flat()
              .map(row => JSON.parse(row) as Change<Row>)
          )
          // Sessions that were given out and have become another one are not taken back by upserts.
          if (name.startsWith("session")) for (const row of left) expect([...last.values()]).toContain(row)
          else expect(left).toEqual([...last.values()].toSorted())
        }),
        { numRuns: 25 }
      )
    })

  test("what an evictor leaves nothing of is taken back", () => {
    const unlessCancelled = Evictor.ofRecords(
      "none of a cancelled window",
      (all: readonly Evictor.Element<Payment>[]) => (all.some(({ record }) => record.cents < 0) ? [] : all)
    )
    const counts = payments()
      .keyBy(p => p.account)
      .window(
        Window.tumbling(10, { allowedLateness: 1_000, evictor: unlessCancelled }),
        { n: Agg.count() },
        { updates: "retract" }
      )
      .to(changes)
    const driver = new TestDriver(counts, { watermarks: "manual" })
    driver.push("payments", { account: "a", cents: 1, at: 0 })
    driver.watermark(100)
    driver.restore()
    driver.push("payments", { account: "a", cents: -1, at: 1 })
    const record = { windowStart: 0, windowEnd: 10, n: 1 }
    expect(driver.values("totals")).toEqual([
      { op: "+I", record },
      { op: "-D", record }
    ])
  })

  test("lists too are taken back as they were", () => {
    const Listed = Schema.Struct({ ...Count.fields, all: Schema.Array(Schema.Int) })
    const sessions = payments()
      .keyBy(p => p.account)
      .window(
        Window.session(10, { allowedLateness: 1_000 }),
        { n: Agg.distinctCount(p => p.cents), all: Agg.collect(p => p.cents, Schema.Int) },
        { updates: "retract" }
      )
      .to(Sink.kafka("totals", Schema.Struct({ ...Counted.fields, record: Listed })))
    const driver = new TestDriver(sessions, { watermarks: "manual" })
    const pay = (at: number, cents: number) => driver.push("payments", { account: "a", cents, at })
    const row = (windowStart: number, windowEnd: number, all: readonly number[]) => ({
      windowStart,
      windowEnd,
      n: new Set(all).size,
      all
    })
    pay(0, 7)
    pay(1, 7)
    pay(20, 8)
    driver.watermark(100)
    driver.restore()
    pay(10, 9)
    expect(driver.values("totals")).toEqual([
      { op: "+I", record: row(0, 11, [7, 7]) },
      { op: "+I", record: row(20, 30, [8]) },
      { op: "-D", record: row(0, 11, [7, 7]) },
      { op: "-U", record: row(20, 30, [8]) },
      { op: "+U", record: row(0, 30, [7, 7, 8, 9]) }
    ])
  })
})
