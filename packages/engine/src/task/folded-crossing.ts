import { Combiner, type CombinerOptions } from "@headrace/core"
import type { Crossing } from "./crossing.ts"

/**
 * A crossing of parts: the events of a transaction are folded by pane, and what they come to goes over at its end, before the
 * watermark that is behind them. So nothing of it is state, and nothing waits while a partition is idle.
 */
export class FoldedCrossing implements Crossing {
  private readonly crossing: Crossing
  private readonly combiner: Combiner

  constructor(crossing: Crossing, options: Omit<CombinerOptions, "output">) {
    this.crossing = crossing
    this.combiner = new Combiner({ ...options, output: crossing })
  }

  next(record: object, timestamp: number): void {
    this.combiner.next(record, timestamp)
  }

  watermark(watermark: number): void {
    this.crossing.watermark(watermark)
  }

  rest(): void {
    this.combiner.flush()
    this.crossing.rest()
  }

  halt(number: number): void {
    this.crossing.halt(number)
  }

  get pending(): boolean {
    return this.crossing.pending
  }

  proceed(limit: number): number {
    return this.crossing.proceed(limit)
  }

  settle(): void {
    this.combiner.flush()
    this.crossing.settle()
  }
}
