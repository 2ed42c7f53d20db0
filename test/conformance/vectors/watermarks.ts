import {
  ByteWriter,
  blockOf,
  ChangeSet,
  END_OF_TIME,
  Idleness,
  PartitionState,
  SourceClock,
  StageClock,
  type Stateful,
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

/** What `before` has written of itself, in something new. */
const restored = <C extends Stateful>(before: C, made: C): C => {
  const out = new ByteWriter(64)
  new PartitionState([before]).snapshot(out)
  const changes = new ChangeSet()
  changes.add(out.written().slice())
  new PartitionState([made]).putBack(blockOf(changes.merging().rest()))
  return made
}

/** What a source's partitions are to a lane: a clock each, and whether it has gone quiet. */
class Partition {
  clock: SourceClock
  readonly idleness: Idleness | undefined
  private readonly make: () => SourceClock

  constructor({ name, spec }: Parameters<Runner>[0]) {
    const { delay, idleTimeout } = spec as Readonly<Record<string, number>>
    this.make = () => new SourceClock(name, delay!)
    this.clock = this.make()
    this.idleness = idleTimeout === undefined ? undefined : new Idleness(idleTimeout)
  }

  watermark(): number {
    return this.clock.watermark()
  }

  restore(): void {
    this.clock = restored(this.clock, this.make())
  }
}

/**
 * Partitions of a source, with or without a time-out after which one is idle: as lanes compare them to align. Where none is
 * ever idle, gone or new, also as the stage behind them sees them (what comes of idle ones there is another rule of Flink's,
 * and the cases of `aligned`).
 */
export const combined: Runner = (one, { restores }) => {
  const steps = one.steps as unknown as readonly Step[]
  const isStaged = !steps.some(({ add, remove, idle }) => add ?? remove ?? idle)
  return together(one, steps, restores) ?? (isStaged ? staged(one, steps, restores) : undefined)
}

const together = (one: Parameters<Runner>[0], steps: readonly Step[], restores: boolean): string | undefined => {
  const said: Row[] = []
  const combiner = new WatermarkCombiner<number>(listening(said))
  const partitions = new Map<number, Partition>()
  const add = (number: number) => {
    const partition = new Partition(one)
    partitions.set(number, partition)
    combiner.add(number, partition, partition.idleness)
  }
  for (let i = 0; i < (one.spec as { readonly partitions: number }).partitions; i++) add(i)
  let now = 0
  return compared(steps, said, step => {
    if (step.event !== undefined) {
      partitions.get(step.event.partition)!.clock.observe(step.event.ts)
      combiner.observe(step.event.partition)
    }
    if (step.idle !== undefined) combiner.idle(step.idle.partition)
    if (step.add !== undefined) add(step.add.partition)
    if (step.remove !== undefined) combiner.remove(step.remove.partition)
    if (step.advance !== undefined) now += step.advance
    if (step.periodic === true) combiner.periodic(now)
    if (restores) for (const partition of partitions.values()) partition.restore()
  })
}

/** Each `periodic` is the end of a transaction of each partition, in which it says its watermark to the stage behind it. */
const staged = (one: Parameters<Runner>[0], steps: readonly Step[], restores: boolean): string | undefined => {
  const said: Row[] = []
  const partitions = Array.from({ length: (one.spec as { readonly partitions: number }).partitions }, () => new Partition(one))
  const make = () => new StageClock(one.name, partitions.length, listening(said))
  let stage = make()
  let now = 0
  let wasIdle = false
  const wrong = compared(steps, said, ({ event, advance, periodic }) => {
    if (wasIdle) return
    if (restores) {
      stage = restored(stage, make())
      for (const partition of partitions) partition.restore()
    }
    if (event !== undefined) {
      partitions[event.partition]!.clock.observe(event.ts)
      partitions[event.partition]!.idleness?.observe()
    }
    if (advance !== undefined) now += advance
    if (periodic !== true) return
    wasIdle = partitions.some(({ idleness }) => idleness?.look(now) === true)
    if (wasIdle) return
    for (const [i, partition] of partitions.entries()) stage.advance(i, partition.watermark())
    // They say it one after the other: what counts is where the stage stands behind the last one.
    said.splice(0, said.length - 1)
  })
  return wasIdle ? undefined : wrong
}

/** Inputs of an operator. */
export const aligned: Runner = (one, { restores }) => {
  const said: Row[] = []
  const make = () => new WatermarkValve((one.spec as { readonly inputs: number }).inputs, listening(said))
  let valve = make()
  return compared(one.steps as unknown as readonly Step[], said, ({ input = 0, watermark, status }) => {
    if (restores) {
      const before = valve
      valve = make()
      valve.restore(before.watermark, before.inputs)
    }
    if (watermark !== undefined) valve.advance(input, watermark === "max" ? END_OF_TIME : watermark)
    if (status === "idle") valve.idle(input)
    if (status === "active") valve.active(input)
  })
}
