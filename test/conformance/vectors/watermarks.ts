import {
  END_OF_TIME,
  Idleness,
  SourceClock,
  type TimeOutput,
  WatermarkCombiner,
  WatermarkValve
} from "@headrace/core"
import { difference, type Row, type Runner } from "./case.ts"

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
  readonly emits?: readonly Row[]
}

const listening = (said: Row[]): TimeOutput => ({
  watermark: watermark => said.push({ watermark: watermark === END_OF_TIME ? "max" : watermark }),
  idle: () => said.push({ status: "idle" }),
  active: () => said.push({ status: "active" })
})

const compared = (steps: readonly Step[], said: Row[], take: (step: Step) => void): string | undefined => {
  for (const [i, step] of steps.entries()) {
    take(step)
    const wrong = difference("emitted", i, said.splice(0), step.emits ?? [], true)
    if (wrong !== undefined) return wrong
  }
  return undefined
}

/** Partitions of a source, with or without a time-out after which one is idle. */
export const combined: Runner = one => {
  const { delay, partitions, idleTimeout } = one.spec as Readonly<Record<string, number>>
  const said: Row[] = []
  const combiner = new WatermarkCombiner(listening(said))
  const add = (partition: number) =>
    combiner.add(partition, new SourceClock(one.name, delay!), idleTimeout === undefined ? undefined : new Idleness(idleTimeout))
  for (let i = 0; i < partitions!; i++) add(i)
  let now = 0
  return compared(one.steps as unknown as readonly Step[], said, step => {
    if (step.event !== undefined) combiner.observe(step.event.partition, step.event.ts)
    if (step.idle !== undefined) combiner.idle(step.idle.partition)
    if (step.add !== undefined) add(step.add.partition)
    if (step.remove !== undefined) combiner.remove(step.remove.partition)
    if (step.advance !== undefined) now += step.advance
    if (step.periodic === true) combiner.periodic(now)
  })
}

/** Inputs of an operator. */
export const aligned: Runner = one => {
  const said: Row[] = []
  const valve = new WatermarkValve((one.spec as { readonly inputs: number }).inputs, listening(said))
  return compared(one.steps as unknown as readonly Step[], said, ({ input = 0, watermark, status }) => {
    if (watermark !== undefined) valve.advance(input, watermark === "max" ? END_OF_TIME : watermark)
    if (status === "idle") valve.idle(input)
    if (status === "active") valve.active(input)
  })
}
