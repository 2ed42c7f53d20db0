/**
 * Steps that keep state by key, in fewer partitions: those that become one had come to different times, and to none of its keys
 * event time goes back. So each goes on as if its own partition had gone on, and heard of time from the new one.
 */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Entry } from "../src/index.ts"
import { contributors } from "../src/savepoint/rescale.ts"
import { placeOf, rescale } from "./rescaling.ts"
import { type Event, id, type Make, Partition, STEPS } from "./timedSteps.ts"

interface Phase {
  readonly partitions: number
  readonly events: readonly Event[]
}
type Times = readonly number[]

/** Event time of the partitions that these become: the least of those that each is made of. */
const merged = (times: Times, after: number): Times =>
  Array.from({ length: after }, (_, one) => Math.min(...contributors(one, times.length, after).map(i => times[i]!)))

/** What happens in each partition of a phase, in its order: events, and how far event time has come behind each. */
const happens = ({ partitions, events }: Phase, before: Times) => {
  const times = before.length === 0 ? new Array<number>(partitions).fill(Number.NEGATIVE_INFINITY) : [...before]
  const all = events.map(event => {
    const partition = placeOf(event.key, partitions)
    times[partition] = Math.max(times[partition]!, event.ts)
    return { event, partition, watermark: times[partition]! - BOUND }
  })
  return { all, times }
}

/** The job as it is: its state is split by key between two phases. */
const rescaled = (make: Make, atOnce: number, phases: readonly Phase[]): readonly string[] => {
  const out: string[] = []
  let times: Times = []
  let before: readonly Partition[] = []
  for (const phase of phases) {
    const { partitions } = phase
    const definition = new Partition(make, atOnce).definition
    const states =
      before.length === 0
        ? new Array<Entry[]>(partitions).fill([])
        : rescale(
            before.map(one => one.entries),
            partitions,
            new Map([[id, definition]])
          )
    times = before.length === 0 ? [] : merged(times, partitions)
    const now = states.map(entries => new Partition(make, atOnce, entries))
    const { all, times: then } = happens(phase, times)
    for (const { event, partition, watermark } of all) {
      now[partition]!.next(event)
      now[partition]!.watermark(watermark)
    }
    out.push(...before.flatMap(one => one.out))
    times = then
    before = now
  }
  for (const one of before) one.end()
  return [...out, ...before.flatMap(one => one.out)].toSorted()
}

/** The same, as it is to be: what is to become of a key in one partition is not touched by what others have come to. */
const apart = (make: Make, atOnce: number, phases: readonly Phase[]): readonly string[] => {
  const keys = [...new Set(phases.flatMap(({ events }) => events.map(({ key }) => key)))]
  return keys
    .flatMap(key => {
      const own = new Partition(make, atOnce)
      let times: Times = []
      for (const [i, phase] of phases.entries()) {
        if (i > 0) times = merged(times, phase.partitions)
        const { all, times: then } = happens(phase, times)
        for (const { event, partition, watermark } of all) {
          if (partition !== placeOf(key, phase.partitions)) continue
          if (event.key === key) own.next(event)
          own.watermark(watermark)
        }
        times = then
      }
      own.end()
      return own.out
    })
    .toSorted()
}

const KEYS = ["a", "b", "c", "d", "e", "key-7", "key-8", "key-9"]
const BOUND = 3
/** In bursts of one key, up to six times the bound late: some partitions are far ahead of others. */
const events = fc
  .array(
    fc.record({
      key: fc.constantFrom(...KEYS),
      values: fc.array(fc.record({ value: fc.nat(9), delay: fc.nat(6 * BOUND) }), { minLength: 1, maxLength: 5 })
    }),
    { maxLength: 15 }
  )
  .map(bursts => bursts.flatMap(({ key, values }) => values.map(one => ({ key, ...one }))))
  .map(all => all.map(({ key, value, delay }, i): Event => ({ key, value, ts: 100 + i * 2 - delay })))

describe.each(Object.entries(STEPS))("%s", (_, make) => {
  test.each([[[4, 2]], [[3, 2]], [[6, 4]], [[2, 4]], [[3, 1]], [[3, 2, 5, 2]]])(
    "%j partitions: each key goes on from where its own had come to",
    numbers => {
      const phases = fc.tuple(...numbers.map(() => events)).map(all => {
        let later = 0
        // Each phase goes on where the one before it ended.
        return all.map((own, i): Phase => {
          const shifted = own.map(event => ({ ...event, ts: event.ts + later }))
          later += own.length * 2
          return { partitions: numbers[i]!, events: shifted }
        })
      })
      fc.assert(
        fc.property(phases, fc.constantFrom(0, 1, Number.POSITIVE_INFINITY), (all, atOnce) => {
          expect(rescaled(make, atOnce, all)).toEqual(apart(make, atOnce, all))
        }),
        { numRuns: 40 }
      )
    }
  )
})

test("a number whose place nobody knows is not late by what others had come to: none in the state has shown how producers write them", () => {
  const make = STEPS.sessions!
  const restored = (before: readonly Partition[], after: number) =>
    rescale(
      before.map(one => one.entries),
      after,
      new Map([[id, before[0]!.definition]])
    ).map(entries => new Partition(make, Number.POSITIVE_INFINITY, entries))
  const at = (time: number) => {
    const partition = new Partition(make, Number.POSITIVE_INFINITY)
    partition.watermark(time)
    return partition
  }
  const late = (partition: Partition) => partition.out.filter(line => line.startsWith('["late"'))
  const numbers = Array.from({ length: 10 }, (_, i): Event => ({ key: i as never, value: 1, ts: 150 }))
  const [one] = restored([at(1_000), at(100)], 1)
  for (const event of numbers) one!.next(event)
  expect(late(one!)).toEqual([])
  // Text is written as it is.
  const texts = KEYS.filter(key => placeOf(key, 2) === 0)
  for (const key of texts) one!.next({ key, value: 1, ts: 150 })
  expect(late(one!)).toHaveLength(texts.length)
})
