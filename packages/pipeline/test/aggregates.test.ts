/** Aggregates against naive ones: over all records at once, and over parts that went through bytes and were merged. */
import { describe, expect, test } from "bun:test"
import { type Aggregate, ByteWriter } from "@headrace/core"
import { BigDecimal, Schema } from "effect"
import fc from "fast-check"
import { Agg, Pipeline, Sink, Source, Window } from "headrace"
import { TestDriver } from "headrace-test"

type Custom = Extract<Aggregate, { readonly kind: "custom" }>
type Timed<R> = readonly (readonly [record: R, timestamp: number])[]

const stored = ({ codec }: Custom, value: unknown): { readonly back: unknown; readonly bytes: string } => {
  const out = new ByteWriter(16)
  // Not at the start of its bytes, as in a row.
  out.u8(1)
  codec.write(value, out)
  const bytes = out.written().slice()
  return { back: codec.read(bytes, 1, bytes.length), bytes: bytes.toString() }
}

const folded = (agg: Custom, records: Timed<unknown>): unknown =>
  records.reduce((state, [record, at]) => agg.add(state as never, record as never, at), agg.init())

/** The result of parts that are merged, each of which was stored, and is as it was afterwards. */
const merged = (agg: Custom, parts: readonly Timed<unknown>[]): unknown => {
  const states = parts.map(part => stored(agg, folded(agg, part)).back)
  const before = states.map(state => stored(agg, state).bytes)
  const sum = states.reduce((a, b) => agg.merge!(a as never, b as never), agg.init())
  const result = agg.result(stored(agg, sum).back as never)
  expect(states.map(state => stored(agg, state).bytes)).toEqual(before)
  return result
}

const whole = (agg: Custom, records: Timed<unknown>): unknown => agg.result(folded(agg, records) as never)

/** As sliding windows would cut them: by time. */
const byTime = <R>(records: Timed<R>, parts: number): readonly Timed<R>[] =>
  Array.from({ length: parts }, (_, i) => records.filter(([, at]) => ((at % parts) + parts) % parts === i))

const anyTimed = <R>(record: fc.Arbitrary<R>, options: fc.ArrayConstraints = {}) =>
  fc.array(fc.tuple(record, fc.integer({ min: -9, max: 9 })), { minLength: 1, maxLength: 60, ...options })

interface Ranked {
  readonly by: number
  readonly name: number
}

const custom = (agg: { readonly aggregate: Aggregate }): Custom => agg.aggregate as Custom

describe("sums of money", () => {
  const decimals = fc
    .tuple(fc.bigInt({ min: -(10n ** 24n), max: 10n ** 24n }), fc.integer({ min: 0, max: 12 }))
    .map(([value, scale]) => ({ value, scale }))
  const text = ({ value, scale }: { value: bigint; scale: number }): string => {
    const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0")
    const point = digits.length - scale
    return `${value < 0n ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`
  }

  test("are exact, of decimals and of bigints", () => {
    const agg = custom(Agg.sumDecimal((r: { value: bigint; scale: number }) => text(r), { digits: 2 }))
    const cents = custom(Agg.sumBigint((r: { value: bigint }) => r.value))
    fc.assert(
      fc.property(anyTimed(decimals), fc.integer({ min: 1, max: 4 }), (records, parts) => {
        const total = records.reduce((sum, [{ value, scale }]) => sum + value * 10n ** BigInt(12 - scale), 0n)
        for (const result of [whole(agg, records), merged(agg, byTime(records, parts))]) {
          const sum = result as string
          expect(sum).toMatch(/^-?\d+\.\d{2,}$/)
          expect(BigDecimal.scale(BigDecimal.fromStringUnsafe(sum), 12).value).toBe(total)
        }
        const values = records.reduce((sum, [{ value }]) => sum + value, 0n)
        expect(whole(cents, records)).toBe(values)
        expect(merged(cents, byTime(records, parts))).toBe(values)
      })
    )
  })

  test("are written without an exponent, and of decimals only", () => {
    const sum = (...texts: string[]) =>
      whole(
        custom(Agg.sumDecimal((r: string) => r)),
        texts.map(one => [one, 0] as const)
      )
    expect(sum("0.1", "0.2")).toBe("0.3")
    expect(sum("99.99", ".01", "+900.")).toBe("1000")
    expect(sum("-0.005", "0.004")).toBe("-0.001")
    expect(sum("1000000000000000000000000", "0.1")).toBe("1000000000000000000000000.1")
    for (const wrong of ["1e3", "", "1,5", "NaN", "0x1"]) expect(() => sum(wrong)).toThrow("is not a decimal number")
  })
})

describe("first and last", () => {
  test("go by event time, and among equals by arrival", () => {
    const agg = {
      first: custom(Agg.first((r: number) => r, Schema.Number)),
      last: custom(Agg.last((r: number) => r, Schema.Number))
    }
    fc.assert(
      fc.property(anyTimed(fc.nat(99)), fc.integer({ min: 1, max: 4 }), (records, parts) => {
        const inOrder = records.toSorted(([, a], [, b]) => a - b)
        for (const of of [whole, (one: Custom, all: Timed<number>) => merged(one, byTime(all, parts))]) {
          expect(of(agg.first, records)).toBe(inOrder[0]![0])
          expect(of(agg.last, records)).toBe(inOrder.at(-1)![0])
        }
      })
    )
  })
})

describe("the top of a window", () => {
  test("is the greatest, earlier ones first among equals", () => {
    const record = fc.record({ by: fc.integer({ min: -3, max: 3 }), name: fc.nat(99) })
    fc.assert(
      fc.property(
        anyTimed(record),
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 4 }),
        (records, n, parts) => {
          const agg = custom(
            Agg.top(
              n,
              (r: Ranked) => r.by,
              (r: Ranked) => r.name,
              Schema.Number
            )
          )
          const best = records.toSorted(([a, at], [b, bt]) => b.by - a.by || at - bt).slice(0, n)
          const names = best.map(([{ name }]) => name)
          expect(whole(agg, records)).toEqual(names)
          expect(merged(agg, byTime(records, parts))).toEqual(names)
        }
      )
    )
  })
})

describe("approximate distinct counts", () => {
  const agg = custom(Agg.approximateDistinctCount((r: string | number | bigint | undefined) => r))

  test("are exact up to 256, whatever the kind of values", () => {
    const values = fc.oneof(fc.string({ maxLength: 3 }), fc.integer(), fc.bigInt(), fc.constant(undefined))
    fc.assert(
      fc.property(anyTimed(values, { maxLength: 250 }), fc.integer({ min: 1, max: 4 }), (records, parts) => {
        const different = new Set(records.map(([value]) => value).filter(value => value !== undefined)).size
        expect(whole(agg, records)).toBe(different)
        expect(merged(agg, byTime(records, parts))).toBe(different)
      })
    )
  })

  test("are within five standard errors up to a million, in parts as at once", () => {
    for (const many of [257, 1_000, 10_000, 100_000, 1_000_000]) {
      const state = agg.init()
      const parts = [agg.init(), agg.init(), agg.init()]
      for (let i = 0; i < many; i++) {
        agg.add(state as never, `account-${i}` as never, 0)
        // Each value twice, and in two parts.
        agg.add(parts[i % 3] as never, `account-${i}` as never, 0)
        agg.add(parts[(i + 1) % 3] as never, `account-${i}` as never, 0)
      }
      const estimate = agg.result(state as never) as number
      expect(Math.abs(estimate / many - 1)).toBeLessThan(5 * 0.01625)
      const sum = parts
        .map(part => stored(agg, part).back)
        .reduce((a, b) => agg.merge!(a as never, b as never), agg.init())
      expect(stored(agg, sum).bytes).toBe(stored(agg, state).bytes)
      expect(agg.result(sum as never)).toBe(estimate)
    }
  })
})

describe("quantiles", () => {
  test("are within their accuracy of the value at that rank, in parts as at once", () => {
    const shares = { least: 0, low: 0.1, middle: 0.5, high: 0.99, most: 1 }
    const agg = custom(Agg.quantiles((r: number) => r, shares, { accuracy: 0.02 }))
    const numbers = fc.oneof(
      fc.double({ min: -1e4, max: 1e4, noNaN: true }),
      fc.integer({ min: -50, max: 50 }),
      fc.constant(0)
    )
    // The library counts what is next to nothing as zero, and what lies further apart than its bins is thrown together.
    const measured = numbers.map(one => (Math.abs(one) < 1e-3 ? 0 : one))
    fc.assert(
      fc.property(anyTimed(measured), fc.integer({ min: 1, max: 4 }), (records, parts) => {
        const sorted = records.map(([value]) => value).sort((a, b) => a - b)
        for (const result of [whole(agg, records), merged(agg, byTime(records, parts))])
          for (const [name, share] of Object.entries(shares)) {
            const rank = share * (sorted.length - 1)
            const near = [sorted[Math.floor(rank)]!, sorted[Math.ceil(rank)]!]
            const value = (result as Record<string, number>)[name]!
            expect(near.some(one => Math.abs(value - one) <= 0.0201 * Math.abs(one))).toBe(true)
          }
      })
    )
  })

  test("are of finite numbers, at shares from 0 to 1", () => {
    const agg = custom(Agg.quantiles((r: number) => r, { p50: 0.5 }))
    expect(() => agg.add(agg.init() as never, Number.NaN as never, 0)).toThrow(RangeError)
    expect(() => Agg.quantiles((r: number) => r, { p50: 50 })).toThrow("from 0 to 1")
  })
})

test("standard deviations, of a population and of a sample, and all of these in one window that slides", () => {
  const Event = Schema.Struct({ key: Schema.String, n: Schema.Number, at: Schema.Number })
  const Out = Schema.Struct({
    key: Schema.String,
    population: Schema.Number,
    sample: Schema.Number,
    first: Schema.Number,
    last: Schema.Number,
    total: Schema.String,
    different: Schema.Number,
    ranks: Schema.Struct({ p50: Schema.Number })
  })
  const source = Source.kafka("in", Event, { key: "key", eventTime: e => e.at })
  const pipeline = Pipeline.make("aggregates")
    .from(source)
    .keyBy(e => e.key)
    .window(Window.sliding("20 millis", "10 millis"), {
      population: Agg.standardDeviation(e => e.n),
      sample: Agg.sampleDeviation(e => e.n),
      first: Agg.first(e => e.n, Schema.Number),
      last: Agg.last(e => e.n, Schema.Number),
      total: Agg.sumDecimal(e => `${e.n}.1`),
      different: Agg.approximateDistinctCount(e => e.n),
      ranks: Agg.quantiles(e => e.n, { p50: 0.5 })
    })
    .to(Sink.kafka("out", Out))
  const driver = new TestDriver(pipeline, { watermarks: "manual" })
  for (const [n, at] of [
    [2, 0],
    [4, 3],
    [4, 1],
    [4, 12],
    [5, 11],
    [5, 14],
    [7, 17],
    [9, 19]
  ] as const)
    driver.push(source, { key: "a", n, at })
  driver.restore()
  driver.watermark(19)
  driver.restore()
  const second = driver.values<(typeof Out)["Type"]>("out").at(-1)!
  expect(second.population).toBeCloseTo(2, 12)
  expect(second.sample).toBeCloseTo(Math.sqrt(32 / 7), 12)
  expect(second).toMatchObject({ first: 2, last: 9, total: "40.8", different: 5 })
  expect(Math.abs(second.ranks.p50 - 4.5)).toBeLessThan(0.6)
})
