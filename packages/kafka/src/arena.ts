import { STRIDE } from "@headrace/engine"
import { attemptNow } from "./error.ts"
import { type NativeHandle, native } from "./native.ts"

/** Numbers in `stamps` for each consumed message: offset, then timestamp in ms since 1970 (−1: none). */
const STAMPS_STRIDE = 2

/**
 * Where a poll writes its messages, laid out as the engine's `Batch`: keys, values and headers back to back in `bytes`, their
 * places in `index`, offsets and timestamps in `stamps`. It belongs to the poll until that resolves, then to the caller until the next poll with
 * it: take two in turn to work on one while the other fills. About `bytes + 48 × messages` bytes of memory.
 */
export class Arena {
  readonly bytes: Uint8Array
  readonly index: Int32Array
  readonly stamps: Float64Array
  readonly messages: number
  readonly handle: NativeHandle

  /** Room for `messages` messages (at most 2²⁰) of together `bytes` bytes (at most 2³⁰). */
  constructor(bytes: number, messages: number) {
    const parts = attemptNow("make an arena", () => native.arenaCreate(bytes, messages))
    this.handle = parts.handle
    this.messages = messages
    this.bytes = new Uint8Array(parts.buffer, 0, bytes)
    this.stamps = new Float64Array(parts.buffer, parts.stampsAt, messages * STAMPS_STRIDE)
    this.index = new Int32Array(parts.buffer, parts.indexAt, messages * STRIDE)
  }
}

/**
 * Records to send, in the same layout as `Arena`, on plain memory. Partition −1 lets the partitioner choose; `stamps`
 * has one timestamp for each record (ms since 1970; NaN, 0 or negative: now).
 */
export interface OutArena {
  readonly bytes: Uint8Array
  readonly index: Int32Array
  readonly stamps: Float64Array
}
