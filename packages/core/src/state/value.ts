import { ByteWriter } from "../bytes.ts"
import type { ValueCodec } from "../codec.ts"
import type { EntryRange } from "./block.ts"
import { writePut } from "./changes.ts"
import type { StateHandle } from "./operator.ts"
import { HANDLE_BYTES, NO_NAMESPACE, operatorHash, writeStateKey } from "./order.ts"
import type { StateSize } from "./spill.ts"

/** One value of an operator, one entry, under a handle number (1 …) of its own. Written when it was set. */
export class ValueState<A> implements StateHandle {
  private value: A
  private dirty = false
  /** An initial value that was never set is no entry. */
  private present = false
  private readonly handle: number
  private readonly codec: ValueCodec<A>
  private readonly key = new ByteWriter(HANDLE_BYTES)
  private readonly encoded = new ByteWriter(16)

  constructor(id: string, handle: number, codec: ValueCodec<A>, initial: A) {
    this.handle = handle
    this.codec = codec
    this.value = initial
    writeStateKey(this.key, operatorHash(id), NO_NAMESPACE, handle)
  }

  get(): A {
    return this.value
  }

  set(value: A): void {
    this.value = value
    this.dirty = true
    this.present = true
  }

  delta(out: ByteWriter): void {
    if (this.dirty) this.snapshot(out)
    this.dirty = false
  }

  snapshot(out: ByteWriter): void {
    if (!this.present) return
    this.encoded.clear()
    this.codec.write(this.value, this.encoded)
    writePut(out, this.key, this.encoded)
  }

  restore(handle: number, _namespace: number, entry: EntryRange, removed: boolean): boolean {
    if (handle !== this.handle || removed) return false
    this.value = this.codec.read(entry.bytes, entry.valueStart, entry.valueEnd)
    this.present = true
    return true
  }

  /** A value belongs to no namespace. */
  forget(): void {}

  size(): StateSize {
    return { keys: 0, bytes: this.encoded.bytes.byteLength, spilledKeys: 0, spilledBytes: 0 }
  }

  /** One value stays where it is. */
  age(): void {}

  drain(): number {
    return 0
  }
}
