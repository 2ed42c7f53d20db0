/** What steps that go by event time make of how records arrive: in batches, with results that wait, with restarts between. */
import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import { SourceClock } from "../src/index.ts"
import { type Event, GAP_MS, type Make, Partition, STEPS } from "./timedSteps.ts"

const KEYS = ["a", "b", "c", "key-7"]
const BOUND = 6

const events = (delay: number) =>
  fc
    .array(fc.record({ key: fc.constantFrom(...KEYS), value: fc.nat(9), delay: fc.nat(delay), step: fc.nat(9) }), {
      maxLength: 40
    })
    .map(all => {
      let at = 100
      return all.map(({ key, value, delay, step }): Event => {
        at += step
        return { key, value, ts: at - delay }
      })
    })
const within = events(BOUND)
const beyond = events(4 * BOUND)
const places = fc.array(fc.nat(40), { maxLength: 12 })

interface How {
  /** Behind which records a batch ends, and the watermark goes on; without it behind each. */
  readonly ends?: readonly number[]
  readonly restarts?: readonly number[]
  readonly atOnce?: number
}

const run = (make: Make, all: readonly Event[], { ends, restarts = [], atOnce = Number.POSITIVE_INFINITY }: How) => {
  const out: string[] = []
  const clock = new SourceClock("source", BOUND)
  let one = new Partition(make, atOnce)
  for (const [i, event] of all.entries()) {
    clock.observe(event.ts)
    one.next(event)
    const isOver = ends === undefined || ends.includes(i) || restarts.includes(i)
    if (isOver) one.watermark(clock.watermark())
    if (!restarts.includes(i)) continue
    out.push(...one.out)
    one = new Partition(make, atOnce, one.entries)
    one.watermark(clock.watermark())
  }
  one.end()
  return [...out, ...one.out].toSorted()
}

const isLate = (line: string) => line.startsWith('["late"') || line.includes('"late":true')
/** The event alone: what a process step makes of it depends on what is late beside it. */
const late = (line: string) => (isLate(line) ? [line.replace(/"sum":\d+/, "")] : [])

/** What was fired early is what had come by then; a first that is out is forgotten as the watermark passes. */
const BY_BATCHES = new Set(["windows that fire on and on", "the first of each key"])

/**
 * Sessions that touch are one, but one is complete 1 ms before its end (both by Flink's rules): a record that comes exactly
 * at the end of a session, and isn't late, is joined to it or not by what the watermark was.
 */
const SESSIONS = new Set(["sessions", "sessions that wait", "a window join that takes back"])
const touch = (all: readonly Event[]): boolean =>
  all.some(
    ({ key, ts }, i) =>
      all.some(other => other.key === key && other.ts + GAP_MS === ts) &&
      all.slice(0, i).some(before => before.ts - BOUND >= ts)
  )

test("a record at the very end of a session is joined to it unless that has fired, and nothing late is allowed", () => {
  const at = (key: string, ts: number): Event => ({ key, ts, value: 0 })
  const all = [at("a", 94), at("b", 94 + GAP_MS + BOUND), at("a", 94 + GAP_MS)]
  const spans = (how: How) =>
    run(STEPS.sessions!, all, how)
      .map(line => JSON.parse(line)[1])
      .flatMap(({ key, windowStart, windowEnd }) => (key === "a" ? [[windowStart, windowEnd]] : []))
  expect(spans({ ends: [] })).toEqual([[94, 94 + 2 * GAP_MS]])
  expect(spans({})).toEqual([
    [94 + GAP_MS, 94 + 2 * GAP_MS],
    [94, 94 + GAP_MS]
  ])
})

describe.each(Object.entries(STEPS))("%s", (name, make) => {
  const assert = (property: fc.IProperty<[readonly Event[], readonly number[]]>) =>
    fc.assert(property, { numRuns: 100 })

  test("an event within the bound is never late", () => {
    assert(
      fc.property(within, places, (all, ends) => {
        expect(run(make, all, { ends }).filter(isLate)).toEqual([])
      })
    )
  })

  test.skipIf(BY_BATCHES.has(name))("within the bound it makes no difference how records arrive in batches", () => {
    assert(
      fc.property(within, places, (all, ends) => {
        fc.pre(!SESSIONS.has(name) || !touch(all))
        expect(run(make, all, { ends })).toEqual(run(make, all, {}))
      })
    )
  })

  test("beyond it what is late in larger batches is so in smaller ones", () => {
    assert(
      fc.property(beyond, places, (all, ends) => {
        const most = run(make, all, {}).flatMap(late)
        for (const line of run(make, all, { ends }).flatMap(late)) {
          expect(most).toContain(line)
          most.splice(most.indexOf(line), 1)
        }
      })
    )
  })

  test("a restart makes none, whatever is late", () => {
    assert(
      fc.property(beyond, places, (all, restarts) => {
        expect(run(make, all, { restarts })).toEqual(run(make, all, {}))
      })
    )
  })

  test("nor does it how much is done at once of what is due", () => {
    assert(
      fc.property(beyond, places, (all, restarts) => {
        for (const atOnce of [0, 1]) expect(run(make, all, { restarts, atOnce })).toEqual(run(make, all, {}))
      })
    )
  })
})
