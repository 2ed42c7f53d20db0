import { ByteWriter } from "../bytes.ts"
import { ValueReader } from "./number.ts"
import { NAMESPACE_BYTES, readOrdered, writeOrdered } from "./order.ts"
import { entriesOf, type SpillStore } from "./spill.ts"

/** In the store only: names by their times. */
const DUE_LIST = 255
const TIME_BYTES = 8
const NOTHING = new Uint8Array(0)

/**
 * Events that wait in the store, by the names of their entries (what stands behind the handle's prefix), and beside them a list of
 * these by time: `operator · namespace · DUE_LIST · handle · time · name`.
 */
export class SpilledWaiting {
  count = 0
  bytes = 0
  private first: number | undefined
  private readonly store: SpillStore
  private readonly prefix: Uint8Array
  private readonly duePrefix: Uint8Array
  private readonly key = new ByteWriter(64)
  private readonly reader = new ValueReader()

  /** `prefix`: of the handle. */
  constructor(store: SpillStore, prefix: Uint8Array) {
    this.store = store
    this.prefix = prefix
    this.duePrefix = new Uint8Array([...prefix.subarray(0, NAMESPACE_BYTES), DUE_LIST, prefix[NAMESPACE_BYTES]!])
  }

  isDue(time: number): boolean {
    return this.first !== undefined && this.first <= time
  }

  has(name: Uint8Array): boolean {
    return this.count > 0 && this.store.get(this.name(name)) !== undefined
  }

  put(time: number, name: Uint8Array, value: Uint8Array): void {
    this.store.put(this.name(name), value)
    this.store.put(this.due(time, name), NOTHING)
    this.count++
    this.bytes += name.length + value.length
    this.first = Math.min(this.first ?? time, time)
  }

  /** An event that is not there may be asked for. */
  delete(name: Uint8Array): void {
    if (this.count === 0) return
    const value = this.store.get(this.name(name))
    if (value === undefined) return
    this.reader.reset(value)
    this.forget(this.reader.number(), name, value)
    this.first = this.findFirst()
  }

  /** The first events by time, up to `limit`: they are in the store no longer. */
  take(limit: number): readonly (readonly [name: Uint8Array, value: Uint8Array])[] {
    const taken = this.store.scan(this.duePrefix, this.duePrefix, limit).map(([due]) => {
      const name = due.slice(this.duePrefix.length + TIME_BYTES)
      const value = this.store.get(this.name(name))!
      this.forget(readOrdered(due, this.duePrefix.length), name, value)
      return [name, value] as const
    })
    this.first = this.findFirst()
    return taken
  }

  *all(): Generator<readonly [name: Uint8Array, value: Uint8Array]> {
    for (const [name, value] of entriesOf(this.store, this.prefix)) yield [name.subarray(this.prefix.length), value]
  }

  private forget(time: number, name: Uint8Array, value: Uint8Array): void {
    this.store.delete(this.name(name))
    this.store.delete(this.due(time, name))
    this.count--
    this.bytes -= name.length + value.length
  }

  private findFirst(): number | undefined {
    const [first] = this.store.scan(this.duePrefix, this.duePrefix, 1)
    return first === undefined ? undefined : readOrdered(first[0], this.duePrefix.length)
  }

  private name(name: Uint8Array): Uint8Array {
    this.key.clear()
    this.key.copy(this.prefix, 0, this.prefix.length)
    this.key.copy(name, 0, name.length)
    return this.key.written()
  }

  private due(time: number, name: Uint8Array): Uint8Array {
    this.key.clear()
    this.key.copy(this.duePrefix, 0, this.duePrefix.length)
    writeOrdered(this.key, time)
    this.key.copy(name, 0, name.length)
    return this.key.written()
  }
}
