import { NO_WATERMARK } from "../operator.ts"
import type { Idleness } from "./idleness.ts"
import type { TimeOutput } from "./output.ts"
import type { SourceClock } from "./sourceClock.ts"

/** A partition as the combiner sees it. */
interface Part {
  readonly clock: Pick<SourceClock, "watermark">
  readonly idleness: Idleness | undefined
  watermark: number
  /** As of the last `periodic`. */
  idle: boolean
  /** Said by hand since then, and no event came after it. */
  idled: boolean
}

/**
 * How far several partitions P of sources have come together, by the rules of Flink's `WatermarkOutputMultiplexer`: the minimum
 * over those that are not idle, looked at in `periodic` and nowhere else. A partition that has had no event
 * holds the others back until it has one, is idle, or is removed. Nothing ever goes back.
 */
export class WatermarkCombiner<P> {
  private readonly parts = new Map<P, Part>()
  private readonly output: TimeOutput
  private emitted = NO_WATERMARK
  private isIdle = false

  constructor(output: TimeOutput) {
    this.output = output
  }

  /** The partitions that were added, and not removed since. */
  get partitions(): readonly P[] {
    return [...this.parts.keys()]
  }

  /** Whether all are idle, as of the last `periodic`: one that is active again does not have to have come further than before. */
  get resting(): boolean {
    for (const part of this.parts.values()) if (!part.idle) return false
    return true
  }

  /** `clock`: asked at each `periodic`. */
  add(partition: P, clock: Pick<SourceClock, "watermark">, idleness?: Idleness): void {
    this.parts.set(partition, { clock, idleness, watermark: NO_WATERMARK, idle: false, idled: false })
  }

  /** A partition that is not there is no error. Takes effect at the next `periodic`. */
  remove(partition: P): void {
    this.parts.delete(partition)
  }

  /** Called for events of a partition that was added: it is not idle. Their time is its clock's affair. */
  observe(partition: P): void {
    const part = this.at(partition)
    part.idleness?.observe()
    part.idled = false
  }

  /** Says that a partition is idle, from the next `periodic` to its next event. */
  idle(partition: P): void {
    this.at(partition).idled = true
  }

  /** Looks at all partitions, at time `now` of the clock that time-outs go by, and says what follows. */
  periodic(now: number): void {
    if (this.parts.size === 0) return
    let least = Number.POSITIVE_INFINITY
    let allIdle = true
    for (const part of this.parts.values()) {
      this.look(part, now)
      if (part.idle) continue
      allIdle = false
      least = Math.min(least, part.watermark)
    }
    if (allIdle) this.rest()
    else this.advance(least)
  }

  private look(part: Part, now: number): void {
    part.idle = part.idleness?.look(now) === true || part.idled
    if (!part.idle) part.watermark = Math.max(part.watermark, part.clock.watermark())
  }

  private rest(): void {
    if (this.isIdle) return
    this.isIdle = true
    this.output.idle()
  }

  /** Whoever was idle says that it is active only with its next watermark: until then there is nothing to wait for. */
  private advance(watermark: number): void {
    if (watermark <= this.emitted) return
    if (this.isIdle) this.output.active()
    this.isIdle = false
    this.emitted = watermark
    this.output.watermark(watermark)
  }

  private at(partition: P): Part {
    const part = this.parts.get(partition)
    if (part === undefined) throw new Error(`Partition ${partition} was not added`)
    return part
  }
}
