import { NO_WATERMARK } from "../operator.ts"
import type { TimeOutput } from "./output.ts"

/** How far one of several inputs has come. */
export interface InputTime {
  watermark: number
  active: boolean
  /** Counts for the minimum: active, and not behind what was handed on while it was idle. */
  aligned: boolean
}

/**
 * Event time in front of an operator with several inputs, by the rules of Flink's `StatusWatermarkValve`: the minimum
 * over the inputs that are active and aligned, handed on when it advances. Watermarks of an idle input are ignored; one
 * that becomes active counts again once it has caught up with what was handed on. When the last active input, which had
 * determined the watermark, goes idle, the greatest of all is handed on first.
 */
export class WatermarkValve {
  readonly inputs: readonly InputTime[]
  private readonly output: TimeOutput
  private last = NO_WATERMARK

  constructor(inputs: number, output: TimeOutput) {
    this.inputs = Array.from({ length: inputs }, () => ({ watermark: NO_WATERMARK, active: true, aligned: true }))
    this.output = output
  }

  /** What was handed on last. */
  get watermark(): number {
    return this.last
  }

  advance(input: number, watermark: number): void {
    const one = this.at(input)
    if (!one.active || watermark <= one.watermark) return
    one.watermark = watermark
    one.aligned ||= watermark >= this.last
    this.handOnLeast()
  }

  idle(input: number): void {
    const one = this.at(input)
    if (!one.active) return
    one.active = false
    one.aligned = false
    const decided = one.watermark === this.last
    if (this.inputs.some(other => other.active)) {
      if (decided) this.handOnLeast()
      return
    }
    if (decided) this.handOn(this.inputs.reduce((greatest, other) => Math.max(greatest, other.watermark), NO_WATERMARK))
    this.output.idle()
  }

  active(input: number): void {
    const one = this.at(input)
    if (one.active) return
    const first = !this.inputs.some(other => other.active)
    one.active = true
    one.aligned = one.watermark >= this.last
    if (first) this.output.active()
  }

  /** Puts back what inputs and `watermark` were. Called before anything else. */
  restore(watermark: number, inputs: readonly InputTime[]): void {
    this.last = watermark
    for (const [i, input] of inputs.entries()) Object.assign(this.at(i), input)
  }

  private handOnLeast(): void {
    let least = Number.POSITIVE_INFINITY
    for (const { aligned, watermark } of this.inputs) if (aligned) least = Math.min(least, watermark)
    if (this.inputs.some(({ aligned }) => aligned)) this.handOn(least)
  }

  private handOn(watermark: number): void {
    if (watermark <= this.last) return
    this.last = watermark
    this.output.watermark(watermark)
  }

  private at(input: number): InputTime {
    const one = this.inputs[input]
    if (one === undefined) throw new RangeError(`There is no input ${input}: there are ${this.inputs.length}`)
    return one
  }
}
