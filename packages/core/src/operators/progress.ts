import type { ValueCodec } from "../codec.ts"
import { NO_WATERMARK } from "../operator.ts"
import { type Floors, floorNumbers, readFloors } from "./floors.ts"

/** How far a window operator has come in event time. */
export interface Progress {
  /** Its watermark. */
  readonly current: number
  /** Every window whose last ms is not later has fired. */
  readonly fired: number
  /** Results of the next window in time order that are out already. */
  readonly emitted: number
  /** What had fired of some keys beyond that, in the partitions that it was made of. Empty in most cases. */
  readonly floors: readonly Floors[]
}

export const START: Progress = { current: NO_WATERMARK, fired: NO_WATERMARK, emitted: 0, floors: [] }

/** Of `current`, `fired` and `emitted`. */
const LEAST_BYTES = 24

/** `current · fired · emitted`, then the floors: doubles, all of them. */
export const progressCodec: ValueCodec<Progress> = {
  write: ({ current, fired, emitted, floors }, out) => {
    for (const number of [current, fired, emitted, ...floorNumbers(floors)]) out.f64(number)
  },
  read: (bytes, start, end) => {
    const length = end - start
    if (length < LEAST_BYTES || length % 8 !== 0)
      throw new RangeError(`A window operator's progress has ${LEAST_BYTES} bytes at least, in eights, not ${length}`)
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, length)
    const numbers = Array.from({ length: length / 8 }, (_, i) => view.getFloat64(i * 8))
    const [current, fired, emitted, ...rest] = numbers as [number, number, number, ...number[]]
    return { current, fired, emitted, floors: readFloors(rest) }
  }
}
