import { expect, test } from "bun:test"
import { ByteWriter } from "../../src/bytes.ts"
import { keyed } from "../../src/key.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { aggregated } from "../../src/operators/window/aggregated.ts"
import type { WindowAssigner } from "../../src/operators/window/assigner.ts"
import { type Evictor, last } from "../../src/operators/window/evictor.ts"
import { KeyedWindow } from "../../src/operators/window/keyedWindow.ts"
import { count } from "../../src/operators/window/trigger.ts"
import { PartitionState } from "../../src/state/partition.ts"

const EVENTS = 2_000
/** The first one ever and the last two: what is taken out lies between. */
const ends: Evictor = { name: "the ends", keep: all => (all.length < 4 ? all : [all[0]!, ...all.slice(-2)]) }
const GLOBAL: WindowAssigner = { kind: "global" }
/** All events stand in two windows each. */
const SLIDING: WindowAssigner = { kind: "sliding", sizeMs: 2 * EVENTS, slideMs: EVENTS, offsetMs: 0 }

for (const [name, evictor, assigner, expected] of [
  ["the last five", last(5), GLOBAL, [5]],
  ["the ends", ends, GLOBAL, [3]],
  ["the last five of two windows", last(5), SLIDING, [5, 5]]
] as const)
  test(`a window forgets what its evictor has taken out: ${name}`, () => {
    const key = keyed()
    const found: number[] = []
    const output = { next: (record: object) => found.push((record as { n: number }).n), watermark: () => {} }
    const base = {
      id: "window",
      key,
      output,
      late: undefined,
      allowedLatenessMs: 0,
      aggregates: { n: { kind: "count" } }
    } as const
    const contents = aggregated({ ...base, evictor })
    const window = new KeyedWindow({ ...base, assigner, trigger: count(10), contents, what: "test" })
    const input = keyBy(() => "a", key, window)
    for (let i = 0; i < EVENTS; i++) input.next({}, i)
    expect(found.slice(-expected.length)).toEqual([...expected])
    const out = new ByteWriter(64)
    new PartitionState([window]).snapshot(out)
    expect(out.length).toBeLessThan(2_000)
  })
