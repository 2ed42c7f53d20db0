import type { Pipeline } from "headrace"
import { type Output, TestDriver } from "headrace-test"
import { type Case, difference, type Row, type Step, type Variant } from "./case.ts"

export interface Harness {
  readonly pipeline: Pipeline.Pipeline
  /** The topic of an event. */
  readonly topicOf: (step: Step) => string
  readonly topics: readonly string[]
  /** What was emitted, as rows of the case. */
  readonly emitted: (output: Output) => Row
  /** Fields to compare; of each row only those. */
  readonly fields: readonly string[]
  readonly lateFields: readonly string[]
  /** Lists whose order says nothing. */
  readonly unordered: readonly string[]
  /** Within a key, the order of what is emitted counts. */
  readonly ordered: boolean
}

/** Runs a case through a pipeline in the test driver, and compares after each step. */
export const runStream = ({ steps }: Case, variant: Variant, harness: Harness): string | undefined => {
  const driver = new TestDriver(harness.pipeline, { partitions: variant.partitions, watermarks: "manual" })
  const rows = (all: readonly Row[], fields: readonly string[]) =>
    all.map(row => fields.map(field => comparable(row[field], harness.unordered.includes(field))))
  for (const [i, step] of steps.entries()) {
    take(driver, step, harness)
    const emitted = driver.read("out").map(harness.emitted)
    const late = driver.read("late").map(({ value }) => value as Row)
    const wrong =
      difference("emitted", i, rows(emitted, harness.fields), rows(step.emits ?? [], harness.fields), harness.ordered && emitted.length === 1) ??
      (harness.ordered ? orderedByKey(i, emitted, step.emits ?? [], rows, harness.fields) : undefined) ??
      difference("late", i, rows(late, harness.lateFields), rows(step.late ?? [], harness.lateFields))
    if (wrong !== undefined) return wrong
    if (step.restore === true || variant.restores) driver.restore()
  }
  return undefined
}

const take = (driver: TestDriver, step: Step, { topicOf, topics }: Harness): void => {
  if (step.event !== undefined) driver.push(topicOf(step), step.event)
  if (step.watermark === undefined) return
  const time = step.watermark === "max" ? "end" : step.watermark
  for (const topic of step.side === undefined ? topics : [topicOf(step)]) driver.watermark(time, topic)
}

const orderedByKey = (
  step: number,
  got: readonly Row[],
  expected: readonly Row[],
  rows: (all: readonly Row[], fields: readonly string[]) => readonly unknown[],
  fields: readonly string[]
): string | undefined => {
  for (const key of new Set(got.map(row => row["key"]))) {
    const [a, b] = [got, expected].map(all => rows(all.filter(row => row["key"] === key), fields)) as [unknown[], unknown[]]
    const wrong = difference(`emitted for ${key}`, step, a, b, true)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

const comparable = (value: unknown, unordered: boolean): unknown =>
  unordered && Array.isArray(value) ? value.toSorted((a, b) => a - b) : (value ?? null)
