import { describe, expect, test } from "bun:test"
import cases from "../../../test/vectors/windows/window-tumbling.json"
import { END_OF_TIME } from "../src/operator.ts"
import type { Entry } from "../src/state/block.ts"
import { Chain, type Event, merged, restored, type WindowSpec } from "./harness.ts"

type Row = Readonly<Record<string, unknown>>
interface Step {
  readonly event?: Event
  readonly watermark?: number | "max"
  readonly restore?: boolean
  readonly emits: readonly Row[]
  readonly late: readonly Row[]
}
interface Case {
  readonly name: string
  readonly spec: {
    readonly trigger: unknown
    readonly assigner: { readonly size: number; readonly offset: number }
    readonly allowedLateness: number
  }
  readonly steps: readonly Step[]
}

const FIELDS = ["key", "start", "end", "ts", "count", "sum", "min", "max", "list"]

/** Multisets compare as sorted texts of the fields that the vectors have. */
const multiset = (rows: readonly object[], fields: readonly string[]): string[] =>
  rows.map(row => JSON.stringify(fields.map(field => (row as Row)[field]))).sort()

const drive = (chain: Chain, step: Step): void => {
  if (step.event !== undefined) chain.event(step.event)
  if (step.watermark !== undefined) chain.watermark(step.watermark === "max" ? END_OF_TIME : step.watermark)
}

/** How a chain comes back after a step: the ways in which state reaches a restart. */
type Restore = (chain: Chain, step: Step) => Chain

const check = (one: Case, restore: (spec: WindowSpec) => Restore): void => {
  const spec = { ...one.spec.assigner, allowedLateness: one.spec.allowedLateness }
  const again = restore(spec)
  let chain = new Chain(spec)
  for (const step of one.steps) {
    drive(chain, step)
    const { emits, late } = chain.take()
    expect(multiset(emits, FIELDS)).toEqual(multiset(step.emits, FIELDS))
    expect(multiset(late, ["key", "value", "ts"])).toEqual(multiset(step.late, ["key", "value", "ts"]))
    chain = again(chain, step)
  }
}

const fromSnapshotWhenAsked =
  (spec: WindowSpec): Restore =>
  (chain, step) =>
    step.restore === true ? restored(spec, merged([], [chain.snapshot()]), []) : chain

const fromCheckpointEachStep = (spec: WindowSpec): Restore => {
  let checkpoint: Entry[] = []
  return chain => {
    checkpoint = merged(checkpoint, [chain.delta()])
    return restored(spec, checkpoint, [])
  }
}

const fromChangelogEachStep = (spec: WindowSpec): Restore => {
  const changelog: Uint8Array[] = []
  return chain => {
    changelog.push(chain.delta())
    return restored(spec, [], changelog, 0, 2)
  }
}

describe("Flink's tumbling windows", () => {
  // The others have triggers: see window/vectors.test.ts.
  for (const one of (cases as unknown as readonly Case[]).filter(({ spec }) => spec.trigger === null)) {
    test(`${one.name}, restored where it says so`, () => check(one, fromSnapshotWhenAsked))
    test(`${one.name}, restored from a checkpoint after each step`, () => check(one, fromCheckpointEachStep))
    test(`${one.name}, restored from the changelog, applied twice, after each step`, () =>
      check(one, fromChangelogEachStep))
  }
})
