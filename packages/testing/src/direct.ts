import { type Keyed, NO_WATERMARK, partitionOf } from "@headrace/core"
import type { Crossing } from "@headrace/engine"
import type { ExchangePartition } from "./stage.ts"

export interface DirectOptions {
  /** All partitions of the next stage. */
  readonly targets: () => readonly ExchangePartition[]
  /** The number of the exchange among those of its log. */
  readonly exchange: number
  /** The partition that it comes from, among all that flow into the exchange. */
  readonly from: number
  /** Undefined: records go to all partitions. */
  readonly key: Keyed | undefined
}

/** Where records leave a stage, without a log: what flows in is in the next stage at once, and so is event time. */
export class Direct implements Crossing {
  readonly pending = false
  private readonly options: DirectOptions
  private said = NO_WATERMARK
  private resting = false

  constructor(options: DirectOptions) {
    this.options = options
  }

  next(record: object, timestamp: number): void {
    const { exchange, key } = this.options
    const targets = this.options.targets()
    if (key === undefined) for (const target of targets) target.next(exchange, record, timestamp, undefined)
    else {
      const at = partitionOf(key.bytes.subarray(key.start, key.end), targets.length)
      targets[at]!.next(exchange, record, timestamp, key)
    }
    // Who sends something is not idle any more.
    if (this.resting) this.tell(this.said)
  }

  watermark(watermark: number): void {
    if (watermark > this.said || this.resting) this.tell(Math.max(watermark, this.said))
  }

  rest(): void {
    if (this.resting) return
    this.resting = true
    const { targets, exchange, from } = this.options
    for (const target of targets()) target.rest(exchange, from)
  }

  halt(): void {}

  settle(): void {}

  proceed(): number {
    return 0
  }

  private tell(watermark: number): void {
    this.resting = false
    this.said = watermark
    const { targets, exchange, from } = this.options
    for (const target of targets()) target.watermark(exchange, from, watermark)
  }
}
