import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { accountIndex, MAX_ACCOUNTS, plantedName } from "../src/generator/accounts.ts"
import { Audit } from "../src/measure/audit.ts"
import { WindowSum } from "../src/measure/checksum.ts"
import { Latency } from "../src/measure/latency.ts"
import { BitSet } from "../src/measure/seen.ts"
import { CLOSING_THREAD, firstId, runOf, sequenceOf, threadOf } from "../src/scenarios/payments/ids.ts"

const FIRST = 1_800_000_000_000
const scope = {
  run: 5,
  threads: 2,
  partitions: 4,
  accounts: 100,
  planted: 10,
  firstWindow: FIRST,
  windowMs: 10_000,
  latencyFrom: 1_000
}

describe("the ids", () => {
  test("hold run, thread and sequence", () => {
    const run = fc.integer({ min: 0, max: 2047 })
    const thread = fc.integer({ min: 0, max: 63 })
    const sequence = fc.integer({ min: 0, max: 2 ** 36 - 1 })
    fc.assert(
      fc.property(run, thread, sequence, (r, t, s) => {
        const id = firstId(r, t) + s
        expect(Number.isSafeInteger(id)).toBe(true)
        expect([runOf(id), threadOf(id), sequenceOf(id)]).toEqual([r, t, s])
      })
    )
  })
})

describe("the bit set", () => {
  test("is a set", () => {
    const values = fc.array(fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 5_000_000 })))
    fc.assert(
      fc.property(values, added => {
        const bits = new BitSet()
        const model = new Set<number>()
        for (const value of added) {
          expect(bits.add(value)).toBe(!model.has(value))
          model.add(value)
        }
        expect(bits.size).toBe(model.size)
        for (const value of added) expect(bits.has(value) && !bits.has(value + 5_000_001)).toBe(true)
      }),
      { numRuns: 50 }
    )
  })
})

describe("the audit of events", () => {
  test("counts what a naive model counts", () => {
    const arrival = fc.record({ thread: fc.integer({ min: 0, max: 1 }), sequence: fc.integer({ min: 0, max: 60 }) })
    fc.assert(
      fc.property(fc.array(arrival, { maxLength: 200 }), arrivals => {
        const audit = new Audit(scope)
        for (const { thread, sequence } of arrivals) audit.scored(firstId(5, thread) + sequence, 2_000, 0, 2_010)
        const distinct = new Set(arrivals.map(({ thread, sequence }) => `${thread}/${sequence}`))
        expect(audit.received).toBe(distinct.size)
        expect(audit.duplicated).toBe(arrivals.length - distinct.size)
        const zero = [...distinct].filter(name => name.startsWith("0/")).length
        expect(audit.distinct(0, 61)).toBe(zero)
        expect(audit.missing(0, 61, 100)).toHaveLength(61 - zero)
      })
    )
  })

  test("passes over other runs, other threads and closing events", () => {
    const audit = new Audit(scope)
    for (const id of [firstId(4, 0), firstId(5, 2), firstId(5, CLOSING_THREAD), 3]) audit.scored(id, 2_000, 0, 2_010)
    expect([audit.received, audit.duplicated, audit.latency.count]).toEqual([0, 0, 0])
  })

  test("sees a change of order within a thread and partition, and only there", () => {
    const audit = new Audit(scope)
    const arrive = (thread: number, sequence: number, partition: number) =>
      audit.scored(firstId(5, thread) + sequence, 2_000, partition, 2_010)
    arrive(0, 5, 0)
    arrive(0, 1, 1)
    arrive(1, 2, 0)
    expect(audit.disordered).toBe(0)
    arrive(0, 4, 0)
    expect(audit.disordered).toBe(1)
  })

  test("records no latency for the warm-up", () => {
    const audit = new Audit(scope)
    audit.scored(firstId(5, 0), 999, 0, 5_000)
    audit.scored(firstId(5, 0) + 1, 1_000, 0, 1_040)
    expect(audit.latency.count).toBe(1)
    expect(audit.latency.quantiles().max).toBeCloseTo(40, 0)
  })
})

describe("the audit of windows", () => {
  const payment = fc.record({
    account: fc.integer({ min: 0, max: 9 }),
    window: fc.integer({ min: 0, max: 3 }),
    cents: fc.integer({ min: 1, max: 200_000 })
  })
  const payments = fc.array(payment, { minLength: 1, maxLength: 60 })
  type Payment = { account: number; window: number; cents: number }
  const startOf = (window: number) => FIRST + window * 10_000

  const sentSum = (sent: readonly Payment[]) => {
    const sum = new WindowSum()
    for (const { account, window, cents } of sent) sum.add(account, startOf(window), 1, cents)
    return sum
  }
  const emit = (sent: readonly Payment[]) => {
    const audit = new Audit(scope)
    const windows = Map.groupBy(sent, ({ account, window }) => `${account}/${window}`)
    for (const group of windows.values()) {
      const { account, window } = group[0]!
      const cents = group.reduce((sum, payment) => sum + payment.cents, 0)
      audit.window(account, startOf(window), group.length, cents)
    }
    return audit
  }

  test("agrees where each window holds its own payments", () => {
    fc.assert(
      fc.property(payments, sent => {
        expect(emit(sent).windows.equals(sentSum(sent))).toBe(true)
      })
    )
  })

  test("sees a payment that moved to another window, though all totals agree", () => {
    fc.assert(
      fc.property(payments, sent => {
        const [first, ...rest] = sent as [Payment, ...Payment[]]
        const moved = emit([{ ...first, window: (first.window + 1) % 4 }, ...rest])
        const expected = sentSum(sent)
        expect(moved.windows.payments).toBe(expected.payments)
        expect(moved.windows.cents).toBe(expected.cents)
        expect(moved.windows.equals(expected)).toBe(false)
      })
    )
  })

  test("counts a window that came twice, and takes late events in", () => {
    const audit = new Audit(scope)
    audit.window(3, FIRST, 2, 50)
    audit.window(3, FIRST, 2, 50)
    audit.window(3, FIRST + 10_000, 1, 7)
    audit.late(firstId(5, 0), 4, FIRST - 300_000, 11)
    expect(audit.windowsDuplicated).toBe(1)
    expect(audit.lateCount).toBe(1)
    expect([audit.windows.payments, audit.windows.cents]).toEqual([6, 118])
    expect(audit.spent).toEqual({ payments: 5, cents: 107 })
  })

  test("tells accounts of planted scripts from all others", () => {
    const audit = new Audit(scope)
    for (const account of [0, 99, MAX_ACCOUNTS, MAX_ACCOUNTS + 9]) {
      audit.window(account, FIRST, 1, 5)
      audit.window(account, FIRST + 10_000, 1, 5)
    }
    for (const account of [100, MAX_ACCOUNTS - 1, MAX_ACCOUNTS + 10, Number.NaN]) audit.window(account, FIRST, 1, 5)
    expect([audit.windowCount, audit.windowsDuplicated]).toEqual([8, 0])
    const name = plantedName(5, 9)
    expect(accountIndex(name.name)).toBe(name.index)
  })

  test("passes over windows from before the run", () => {
    const audit = new Audit(scope)
    audit.window(3, FIRST - 10_000, 2, 50)
    expect(audit.windowCount).toBe(0)
  })
})

describe("the audit of alerts", () => {
  test("takes those of its run, each as often as it came", () => {
    const audit = new Audit(scope)
    const [firstOf, lastOf] = [firstId(5, 1) + 3, firstId(5, 1) + 9]
    audit.alert({ rule: "trial", firstId: firstOf, lastId: lastOf })
    audit.alert({ rule: "trial", firstId: firstOf, lastId: lastOf })
    audit.alert({ rule: "trial", firstId: firstId(4, 0), lastId: firstId(4, 0) + 1 })
    expect(audit.alertCount).toBe(2)
    expect([...audit.alerts]).toEqual([[`trial ${firstOf} ${lastOf}`, 2]])
  })
})

describe("latency", () => {
  test("gives quantiles within the histogram's precision, and the recent ones apart", () => {
    const latency = new Latency()
    for (let ms = 1; ms <= 1000; ms++) latency.record(ms)
    const all = latency.takeRecent()
    expect(all.p50).toBeGreaterThan(498)
    expect(all.p50).toBeLessThan(502)
    expect(all.p99).toBeGreaterThan(988)
    expect(all.max).toBeGreaterThanOrEqual(1000)
    latency.record(5, 3)
    expect(latency.takeRecent().max).toBeCloseTo(5, 1)
    expect(latency.count).toBe(1003)
    expect(latency.quantiles().max).toBeGreaterThanOrEqual(1000)
  })

  test("takes a clock that went back as 0", () => {
    const latency = new Latency()
    latency.record(-3)
    expect(latency.quantiles().max).toBe(0)
  })
})
