import type { ValueCodec } from "../codec.ts"
import { NO_WATERMARK } from "../operator.ts"

/** How far a window operator has come in event time. */
export interface Progress {
  /** Its watermark. */
  readonly current: number
  /** Every window whose last ms is not later has fired. */
  readonly fired: number
  /** Results of the next window in time order that are out already. */
  readonly emitted: number
}

export const START: Progress = { current: NO_WATERMARK, fired: NO_WATERMARK, emitted: 0 }

export const progressCodec: ValueCodec<Progress> = {
  write: ({ current, fired, emitted }, out) => {
    out.f64(current)
    out.f64(fired)
    out.f64(emitted)
  },
  read: (bytes, start, end) => {
    if (end - start !== 24) throw new RangeError(`A window operator's progress has 24 bytes, not ${end - start}`)
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, 24)
    return { current: view.getFloat64(0), fired: view.getFloat64(8), emitted: view.getFloat64(16) }
  }
}
