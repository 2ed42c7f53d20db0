import { ByteWriter } from "../bytes.ts"
import type { ValueCodec } from "../codec.ts"
import { type Key, type Keyed, writeKey } from "../key.ts"
import { NO_WATERMARK } from "../operator.ts"
import { ValueState } from "../state/value.ts"
import { TIME_BYTES } from "../time/sourceClock.ts"
import { above, type Floors, floorNumbers, floorOf, readFloors } from "./floors.ts"
import { WATERMARK } from "./processLayout.ts"

/** How far event time has come in a step that keeps state by key. */
export interface Reach {
  readonly time: number
  /** How far it had for some keys beyond that, in the partitions that this one was made of. Empty in most cases. */
  readonly floors: readonly Floors[]
}

export const NOWHERE: Reach = { time: NO_WATERMARK, floors: [] }

/** The time, then the floors: doubles, all of them. */
export const reachCodec: ValueCodec<Reach> = {
  write: ({ time, floors }, out) => {
    for (const number of [time, ...floorNumbers(floors)]) out.f64(number)
  },
  read: (bytes, start, end) => {
    const length = end - start
    if (length < TIME_BYTES || length % TIME_BYTES !== 0)
      throw new RangeError(`How far a step has come has ${TIME_BYTES} bytes at least, in eights, not ${length}`)
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, length)
    const numbers = Array.from({ length: length / TIME_BYTES }, (_, i) => view.getFloat64(i * TIME_BYTES))
    return { time: numbers[0]!, floors: readFloors(numbers.slice(1)) }
  }
}

/**
 * What a step keeps of event time: how far it has come for all keys, and for those of partitions that were ahead of others when
 * they became one. To a key event time never goes back, so what was late for it stays late.
 */
export class KeyTimes {
  readonly state: ValueState<Reach>
  private floors: readonly Floors[] = []
  private readonly written = new ByteWriter(64)
  private readonly at: { kind: number; start: number; end: number } = { kind: 0, start: 0, end: 0 }

  constructor(id: string) {
    this.state = new ValueState(id, WATERMARK, reachCodec, NOWHERE)
  }

  /** How far it has come for a key, where it has come to `time` for all. */
  of(key: Key, time: number): number {
    if (this.floors.length === 0) return time
    const { written, at } = this
    written.clear()
    at.kind = writeKey(written, key)
    at.end = written.length
    return Math.max(time, floorOf(this.floors, written.bytes, at))
  }

  /** The same of a key as bytes. */
  ofKeyed(key: Keyed, time: number): number {
    return this.floors.length === 0 ? time : Math.max(time, floorOf(this.floors, key.bytes, key))
  }

  /** Puts into the state that it has come to `time`; floors that this has passed say nothing any more. */
  note(time: number): void {
    this.floors = above(this.floors, time)
    const last = this.state.get()
    if (last.time !== time || last.floors.length !== this.floors.length) this.state.set({ time, floors: this.floors })
  }

  /** How far it has come by the state. */
  recall(): number {
    const { time, floors } = this.state.get()
    this.floors = floors
    return time
  }
}
