import { describe, expect, test } from "bun:test"
import combined from "../../../test/vectors/windows/watermark.json"
import aligned from "../../../test/vectors/windows/watermark-align.json"
import timedOut from "../../../test/vectors/windows/watermark-idle-timeout.json"
import { END_OF_TIME } from "../src/operator.ts"
import { WatermarkCombiner } from "../src/time/combiner.ts"
import { Idleness } from "../src/time/idleness.ts"
import type { TimeOutput } from "../src/time/output.ts"
import { PUNCTUATED, SourceClock } from "../src/time/sourceClock.ts"
import { WatermarkValve } from "../src/time/valve.ts"

type Said = { readonly watermark: number } | { readonly status: string }
interface Place {
  readonly partition: number
}
interface Step {
  readonly event?: Place & { readonly ts: number }
  readonly periodic?: boolean
  readonly idle?: Place
  readonly add?: Place
  readonly remove?: Place
  readonly advance?: number
  readonly watermark?: number | "max"
  readonly status?: "idle" | "active"
  readonly input?: number
  readonly emits: readonly Said[]
}
interface Case {
  readonly name: string
  readonly spec: {
    readonly delay: number
    readonly partitions: number
    readonly idleTimeout?: number
    readonly inputs: number
  }
  readonly steps: readonly Step[]
}

const listening = (said: Said[]): TimeOutput => ({
  watermark: watermark => said.push({ watermark }),
  idle: () => said.push({ status: "idle" }),
  active: () => said.push({ status: "active" })
})

const combinedCase = ({ spec, steps }: Case): void => {
  const said: Said[] = []
  const combiner = new WatermarkCombiner<number>(listening(said))
  const clocks = new Map<number, SourceClock>()
  const add = (partition: number) => {
    const clock = new SourceClock("source", spec.delay)
    clocks.set(partition, clock)
    combiner.add(partition, clock, spec.idleTimeout === undefined ? undefined : new Idleness(spec.idleTimeout))
  }
  for (let i = 0; i < spec.partitions; i++) add(i)
  let now = 0
  for (const step of steps) {
    if (step.event !== undefined) {
      clocks.get(step.event.partition)!.observe(step.event.ts)
      combiner.observe(step.event.partition)
    }
    if (step.idle !== undefined) combiner.idle(step.idle.partition)
    if (step.add !== undefined) add(step.add.partition)
    if (step.remove !== undefined) combiner.remove(step.remove.partition)
    if (step.advance !== undefined) now += step.advance
    if (step.periodic === true) combiner.periodic(now)
    expect(said.splice(0)).toEqual([...step.emits])
  }
}

const alignedCase = ({ spec, steps }: Case): void => {
  const said: Said[] = []
  const valve = new WatermarkValve(spec.inputs, listening(said))
  for (const { input = 0, watermark, status, emits } of steps) {
    if (watermark !== undefined) valve.advance(input, watermark === "max" ? END_OF_TIME : watermark)
    if (status === "idle") valve.idle(input)
    if (status === "active") valve.active(input)
    expect(said.splice(0)).toEqual([...emits])
  }
}

const cases = (all: unknown) => all as readonly Case[]

describe("Flink's watermarks of several partitions", () => {
  for (const one of cases(combined)) test(one.name, () => combinedCase(one))
  for (const one of cases(timedOut)) test(one.name, () => combinedCase(one))
})

describe("Flink's watermarks of several inputs", () => {
  for (const one of cases(aligned)) test(one.name, () => alignedCase(one))
})

test("A punctuated watermark is the greatest that an event has carried", () => {
  const clock = new SourceClock("source", PUNCTUATED)
  expect(clock.watermark()).toBe(Number.NEGATIVE_INFINITY)
  clock.observe(3)
  clock.observe(2)
  expect(clock.watermark()).toBe(3)
})
