import type { ValueCodec } from "../codec.ts"
import { NO_WATERMARK } from "../operator.ts"
import { NotedState } from "../state/noted.ts"
import { OperatorState } from "../state/operator.ts"
import { clockDefinition } from "../state/schema.ts"
import { ValueState } from "../state/value.ts"

/** What a stored time takes. */
export const TIME_BYTES = 8

/** A time in ms, infinities included. */
export const timeCodec: ValueCodec<number> = {
  write: (value, out) => out.f64(value),
  read: (bytes, start, end) => {
    if (end - start !== TIME_BYTES) throw new RangeError(`A time has ${TIME_BYTES} bytes, not ${end - start}`)
    return new DataView(bytes.buffer, bytes.byteOffset + start, 8).getFloat64(0)
  }
}

/** For a clock that observes watermarks, as records carry them, and not event times. */
export const PUNCTUATED = -1

/**
 * Event time of one source partition: how far it has come, and the watermark that follows under bounded disorder.
 * It is state, so that a restart does not go back in time: after a restore pass `watermark()` on before any record.
 */
export class SourceClock extends NotedState {
  readonly id: string
  readonly operator: number
  /** The greatest event time seen, in ms; -Infinity before any. */
  maxTimestamp = NO_WATERMARK
  private readonly outOfOrdernessMs: number
  private readonly value: ValueState<number>
  protected readonly state: OperatorState

  constructor(id: string, outOfOrdernessMs: number) {
    super()
    this.id = id
    this.outOfOrdernessMs = outOfOrdernessMs
    this.value = new ValueState(id, 1, timeCodec, NO_WATERMARK)
    this.state = new OperatorState(clockDefinition(id), [this.value])
    this.operator = this.state.operator
  }

  /** Called for each record. What is not greater (NaN too) changes nothing. */
  observe(timestamp: number): void {
    if (timestamp > this.maxTimestamp) this.maxTimestamp = timestamp
  }

  /** No more events with a timestamp ≤ this are expected: maximum − bound − 1 ms. Never goes back. */
  watermark(): number {
    return this.maxTimestamp - this.outOfOrdernessMs - 1
  }

  /** `observe` runs for each record, so the value only follows when it is written. */
  protected note(): void {
    if (this.value.get() !== this.maxTimestamp) this.value.set(this.maxTimestamp)
  }

  protected recall(): void {
    this.maxTimestamp = this.value.get()
  }
}
