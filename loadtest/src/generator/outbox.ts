import { ByteWriter, type RecordEncoder } from "@headrace/core"
import type { EventMaker } from "./events.ts"
import type { Outbox } from "./load.ts"

/** Eight numbers a record: topic, partition, then key, value and headers as place and length. */
const STRIDE = 8
const CAPACITY = 2048
/** More than any event takes. */
const EVENT_BYTES = 256

/** What an outbox needs of the native producer. */
export interface Sender {
  /** Takes records `from` … of an arena, copies them, and says how many: fewer when its queue is full. */
  readonly produce: (
    arena: { readonly bytes: Uint8Array; readonly index: Int32Array; readonly stamps: Float64Array },
    from: number,
    count: number
  ) => number
}

/** Encodes events straight into one reused arena and hands it over in one call. */
export class ArenaOutbox implements Outbox {
  private readonly out = new ByteWriter(CAPACITY * EVENT_BYTES)
  private readonly index = new Int32Array(CAPACITY * STRIDE)
  private readonly stamps = new Float64Array(CAPACITY)
  private count = 0
  private taken = 0

  constructor(sender: Sender, topicId: number, encoder: RecordEncoder) {
    this.sender = sender
    this.topicId = topicId
    this.encoder = encoder
  }
  private readonly sender: Sender
  private readonly topicId: number
  private readonly encoder: RecordEncoder

  readonly hasRoom = (): boolean => this.count < CAPACITY

  readonly add = (maker: EventMaker, partition: number): void => {
    this.put(maker.key, maker.event, partition)
  }

  /** Appends any event that the encoder knows under a key. */
  put(key: Uint8Array, event: { readonly sentAt: number }, partition: number): void {
    const { out, index } = this
    const at = this.count * STRIDE
    index[at] = this.topicId
    index[at + 1] = partition
    index[at + 2] = out.length
    index[at + 3] = key.length
    out.copy(key, 0, key.length)
    index[at + 4] = out.length
    this.encoder.encode(event, out)
    index[at + 5] = out.length - index[at + 4]!
    this.stamps[this.count++] = event.sentAt
  }

  readonly send = (): boolean => {
    const { bytes } = this.out
    if (this.taken < this.count) {
      this.taken += this.sender.produce(
        { bytes, index: this.index, stamps: this.stamps },
        this.taken,
        this.count - this.taken
      )
    }
    if (this.taken < this.count) return false
    this.count = 0
    this.taken = 0
    this.out.clear()
    return true
  }
}
