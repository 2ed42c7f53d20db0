/** Parts of windows: whatever events they stand for, windows of them are the windows of the events. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import type { Aggregate } from "../../src/aggregate.ts"
import { keyed } from "../../src/key.ts"
import { END_OF_TIME } from "../../src/operator.ts"
import { GridWindow } from "../../src/operators/gridWindow.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { aggregated } from "../../src/operators/window/aggregated.ts"
import { Combiner } from "../../src/operators/window/combiner.ts"
import type { GridAssigner } from "../../src/operators/window/grid.ts"
import { KeyedWindow } from "../../src/operators/window/keyedWindow.ts"
import { eventTime } from "../../src/operators/window/trigger.ts"

interface Event {
  readonly value: number
}
const aggregates: Readonly<Record<string, Aggregate>> = {
  n: { kind: "count" },
  sum: { kind: "sum", of: (event: Event) => event.value },
  min: { kind: "min", of: (event: Event) => event.value },
  max: { kind: "max", of: (event: Event) => event.value },
  average: { kind: "average", of: (event: Event) => event.value },
  values: { kind: "distinctCount", of: (event: Event) => event.value }
}
const ASSIGNERS: readonly GridAssigner[] = [
  { kind: "tumbling", sizeMs: 50, offsetMs: -3 },
  { kind: "sliding", sizeMs: 100, slideMs: 20, offsetMs: 0 },
  { kind: "sliding", sizeMs: 70, slideMs: 30, offsetMs: 0 },
  { kind: "sliding", sizeMs: 20, slideMs: 50, offsetMs: 0 },
  { kind: "cumulative", sizeMs: 100, stepMs: 25, offsetMs: 0 },
  { kind: "calendar", unit: "day", timeZone: "Europe/Berlin" }
]
const LATENESS_MS = 30

/** Windows of events, or of parts of them; on the grid, or by themselves. */
const windowed = (assigner: GridAssigner, ofParts: boolean, onGrid: boolean) => {
  const results: object[] = []
  const key = keyed()
  const output = { next: (record: object) => results.push(record), watermark: () => {} }
  const base = {
    id: "window",
    assigner,
    key,
    aggregates,
    allowedLatenessMs: LATENESS_MS,
    output,
    ofParts,
    late: undefined
  }
  const contents = aggregated(base)
  const window = onGrid ? new GridWindow(base) : new KeyedWindow({ ...base, contents, trigger: eventTime, what: "" })
  return { window, input: keyBy(() => "", key, window), results }
}

/** An event, a flush with a watermark behind it, or at the end of time. */
const steps = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ value: fc.integer({ min: -5, max: 5 }), timestamp: fc.integer({ min: -200, max: 300 }) })
    },
    { weight: 1, arbitrary: fc.integer({ min: -200, max: 300 }) }
  )
)

/** The last result of each window: with events one by one a late one fires, of parts once for all. */
const lastOf = (results: readonly object[]): readonly string[] => {
  const last = new Map(results.map(one => [(one as { readonly windowEnd: number }).windowEnd, JSON.stringify(one)]))
  return [...last.values()].toSorted()
}

for (const assigner of ASSIGNERS)
  for (const onGrid of [true, false])
    test(`${JSON.stringify(assigner)} of parts, ${onGrid ? "on the grid" : "by itself"}`, () =>
      fc.assert(
        fc.property(steps, all => {
          const ofEvents = windowed(assigner, false, true)
          const ofParts = windowed(assigner, true, onGrid)
          const combiner = new Combiner({ assigner, aggregates, output: ofParts.input })
          for (const step of [...all, END_OF_TIME]) {
            if (typeof step === "object") {
              ofEvents.input.next(step, step.timestamp)
              combiner.next(step, step.timestamp)
            } else {
              combiner.flush()
              for (const { input } of [ofEvents, ofParts]) input.watermark(step)
            }
          }
          expect(lastOf(ofParts.results)).toEqual(lastOf(ofEvents.results))
          const { late, between } = { late: ofEvents.window.late.count, between: ofEvents.window.late.between }
          expect({ late: ofParts.window.late.count, between: ofParts.window.late.between }).toEqual({ late, between })
        }),
        { numRuns: 50 }
      ))
