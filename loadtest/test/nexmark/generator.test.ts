import { expect, test } from "bun:test"
import { type NexmarkEvent, NexmarkGenerator } from "../../nexmark/generator/generator.ts"
import { type NexmarkOptions, nexmarkDefaults } from "../../nexmark/generator/options.ts"
import { worldOf } from "./naive.ts"

const EVENTS = 50_000

const make = (changes: Partial<NexmarkOptions> = {}, count = EVENTS): readonly NexmarkEvent[] => [
  ...new NexmarkGenerator({ ...nexmarkDefaults, ...changes }).take(count)
]
const events = make()
const { persons, auctions, bids } = worldOf(events, [])
const share = <A>(all: readonly A[], one: (a: A) => boolean): number => all.filter(one).length / all.length
const mean = (numbers: readonly number[]): number => numbers.reduce((sum, one) => sum + one, 0) / numbers.length
const timesOf = (some: readonly NexmarkEvent[]): readonly number[] => some.map(({ record }) => record.dateTime)

test("the same options make the same events, another seed does not", () => {
  expect(make({}, 500)).toEqual(make({}, 500))
  expect(make({ seed: 2 }, 500)).not.toEqual(make({}, 500))
})

test("a person, three auctions and 46 bids make a round; ids are dense", () => {
  const kinds = events.slice(50, 100).map(({ kind }) => kind)
  expect(kinds).toEqual(["person", ...Array(3).fill("auction"), ...Array(46).fill("bid")])
  expect(persons.map(({ id }) => id)).toEqual(Array.from({ length: EVENTS / 50 }, (_, i) => 1000 + i))
  expect(auctions.map(({ id }) => id)).toEqual(Array.from({ length: (3 * EVENTS) / 50 }, (_, i) => 1000 + i))
})

test("events are spread evenly over event time, and mixed within their group only", () => {
  const times = timesOf(events)
  expect(times).toEqual(Array.from({ length: EVENTS }, (_, i) => nexmarkDefaults.startAt + Math.floor(i / 10)))
  const mixed = timesOf(make({ outOfOrderGroup: 100, eventsPerSecond: 1000 }, 1_000))
  expect(mixed).not.toEqual(mixed.toSorted())
  for (let group = 0; group < 10; group++) {
    const own = mixed.slice(group * 100, group * 100 + 100).map(time => time - nexmarkDefaults.startAt)
    expect(own.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 100 }, (_, i) => group * 100 + i))
  }
})

test("half of the bids are in a hot auction, three of four by a hot bidder; three of four auctions by a hot seller", () => {
  expect(share(bids, ({ auction }) => auction % 100 === 0)).toBeCloseTo(0.5 + 0.5 / 111, 1)
  expect(share(bids, ({ bidder }) => bidder % 100 === 1)).toBeCloseTo(0.75, 1)
  expect(share(auctions, ({ seller }) => seller % 100 === 0)).toBeCloseTo(0.75, 1)
})

test("bids are for auctions that are in flight or about to begin, by people who are active or about to come", () => {
  let lastAuction = 0
  let lastPerson = 0
  for (const { kind, record } of events) {
    if (kind === "person") lastPerson = record.id
    if (kind === "auction") lastAuction = record.id
    if (kind !== "bid" || lastAuction < 1200) continue
    expect(record.auction).toBeGreaterThanOrEqual(lastAuction - 100)
    expect(record.auction).toBeLessThanOrEqual(lastAuction + 10)
    expect(record.bidder).toBeLessThanOrEqual(lastPerson + 10)
  }
})

test("an auction lasts about as long as it takes to begin as many as are in flight", () => {
  const durations = auctions.map(({ dateTime, expires }) => expires - dateTime)
  // 1,666 events later, at 10 in a millisecond.
  expect(mean(durations) / 167).toBeCloseTo(1, 1)
  expect(Math.min(...durations)).toBeGreaterThan(0)
  expect(Math.max(...durations)).toBeLessThan(2 * 168)
})

test("prices go from a dollar to a million, each power of ten as often", () => {
  const prices = bids.map(({ price }) => price)
  expect(Math.min(...prices)).toBeGreaterThanOrEqual(100)
  expect(Math.max(...prices)).toBeLessThanOrEqual(100_000_000)
  for (const power of [3, 4, 5, 6, 7])
    expect(share(prices, price => price < 10 ** power)).toBeCloseTo((power - 2) / 6, 1)
})

test("records have their size", () => {
  // As the public generators count: numbers are 8 bytes; of a bid's texts only the filler counts.
  expect(mean(bids.map(({ extra }) => 32 + extra.length)) / 100).toBeCloseTo(1, 1)
  const textsOf = (record: object) =>
    Object.values(record).reduce<number>((size, value) => size + (typeof value === "string" ? value.length : 0), 0)
  expect(mean(persons.map(person => 8 + textsOf(person))) / 200).toBeCloseTo(1, 1)
  expect(mean(auctions.map(auction => 48 + textsOf(auction))) / 500).toBeCloseTo(1, 1)
})
