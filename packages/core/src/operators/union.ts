import type { Keyed } from "../key.ts"
import { type Input, NO_WATERMARK } from "../operator.ts"

/**
 * Several streams as one: records as they come, and of the watermarks the least. `key` becomes that of the input whose record
 * is handed on, where the streams are keyed.
 */
export class Union {
  private readonly output: Input
  private readonly key: Keyed | undefined
  private readonly times: number[]
  private current = NO_WATERMARK

  constructor(inputs: number, key: Keyed | undefined, output: Input) {
    this.times = new Array(inputs).fill(NO_WATERMARK)
    this.key = key
    this.output = output
  }

  /** What stream `index` flows into. */
  input(index: number, key: Keyed | undefined): Input {
    return {
      next: (record, timestamp) => {
        if (key !== undefined && this.key !== undefined) Object.assign(this.key, key)
        this.output.next(record, timestamp)
      },
      watermark: watermark => this.advance(index, watermark)
    }
  }

  private advance(index: number, watermark: number): void {
    this.times[index] = Math.max(this.times[index]!, watermark)
    const least = Math.min(...this.times)
    if (least <= this.current) return
    this.current = least
    this.output.watermark(least)
  }
}
