import { ByteWriter } from "../bytes.ts"
import type { StoredCodec } from "../codec.ts"
import { type Keyed, NUMBER_KEY } from "../key.ts"
import type { EntryRange } from "./block.ts"
import { writePut, writeTombstone } from "./changes.ts"
import { KeyArena } from "./keyArena.ts"
import { ValueReader, writeNumber } from "./number.ts"
import type { StateHandle } from "./operator.ts"
import { HANDLE_BYTES, NO_NAMESPACE, operatorHash, readOrdered, writeOrdered, writeStateKey } from "./order.ts"
import type { SpillStore, StateSize } from "./spill.ts"
import { SpilledWaiting } from "./spilledWaiting.ts"
import { TimeQueue } from "./timeQueue.ts"
import { Weight } from "./weight.ts"

export interface WaitingLayout {
  /** The id of the operator, and the handle number (1 …) within it. */
  readonly id: string
  readonly handle: number
  readonly codec: StoredCodec
  /** The order of records of one time; those that are alike by it, and all without it, stay in the order of their arrival. */
  readonly comparator?: ((a: never, b: never) => number) | undefined
}

/** What one takes beside its key, an estimate, and its record by the bytes that its codec makes of it. */
const EVENT_BYTES = 60
const HEAP_FACTOR = 2
/** How many events come back from the store at a time. */
const PAGE = 256

/**
 * Events of all keys that wait for the watermark, in the order of their times. Most go before a delta is taken, and leave nothing
 * in it: only what waits then is written, and once it has gone a tombstone. In state they are cells, by their keys and the
 * number of their arrival:
 *   key    operator · namespace · handle · kind · varint length · key · kind of a number · arrival
 *   value  time · record
 */
export class Waiting implements StateHandle {
  readonly keys = new KeyArena()
  private readonly layout: WaitingLayout
  /** By slot. */
  private readonly records: (object | undefined)[] = []
  /** By slot what a delta has made of the record; 0: none has named it. */
  private readonly logged: number[] = []
  private readonly queue: TimeQueue
  /** Slots of those that no delta has named; some may have gone meanwhile. */
  private fresh: number[] = []
  /** Tombstones of those that a delta had named. */
  private readonly gone = new ByteWriter(256)
  private spilled: SpilledWaiting | undefined
  private arrivals = 0
  private readonly weight = new Weight()
  /** What was logged among the slots from the one to the other is still to be drained. */
  private drained = 0
  private aged = 0
  /** While state is restored: slots by the names of their entries. */
  private restoring: Map<string, number> | undefined
  private readonly prefix: Uint8Array
  private readonly key = new ByteWriter(64)
  private readonly value = new ByteWriter(64)
  private readonly reader = new ValueReader()

  constructor(layout: WaitingLayout) {
    this.layout = layout
    writeStateKey(this.key, operatorHash(layout.id), NO_NAMESPACE, layout.handle)
    this.prefix = this.key.written().slice()
    const compare = layout.comparator as ((a: object, b: object) => number) | undefined
    const { records } = this
    this.queue = new TimeQueue(compare && ((a, b) => compare(records[a]!, records[b]!)))
  }

  add({ kind, bytes, start, end }: Keyed, record: object, time: number): void {
    this.restoring = undefined
    const slot = this.make(kind, bytes, start, end, record, time, this.arrivals++)
    this.logged[slot] = 0
    this.fresh.push(slot)
  }

  isDue(time: number): boolean {
    return this.queue.isDue(time) || this.spilled?.isDue(time) === true
  }

  /** The slot of the first one; only while there is one. */
  first(): number {
    this.restoring = undefined
    const { queue, spilled } = this
    // Of one time the order decides, which the queue knows: all of that time have to stand in it.
    if (spilled !== undefined)
      while (spilled.isDue(queue.size === 0 ? Number.POSITIVE_INFINITY : queue.firstTime)) this.recall(spilled)
    return queue.first
  }

  /** Tells the slots of those that come first, at most so many, as far as that is known. */
  tellFirst(most: number, tell: (slot: number) => void): void {
    this.queue.tellFirst(most, tell)
  }

  recordOf(slot: number): object {
    return this.records[slot]!
  }

  timeOf(slot: number): number {
    return this.queue.timeOf(slot)
  }

  /** Its key's bytes stay until the next event is added. */
  remove(slot: number): void {
    if (this.logged[slot] !== 0) {
      this.writeKey(slot)
      writeTombstone(this.gone, this.key)
    }
    this.leave(slot)
  }

  delta(out: ByteWriter): void {
    out.copy(this.gone.bytes, 0, this.gone.length)
    this.gone.clear()
    for (const slot of this.fresh) {
      if (this.logged[slot] !== 0) continue
      this.write(slot, out)
      this.log(slot, this.value.length)
    }
    this.fresh = []
  }

  snapshot(out: ByteWriter): void {
    for (let slot = 0; slot < this.records.length; slot++) if (this.records[slot] !== undefined) this.write(slot, out)
    for (const [rest, value] of this.spilled?.all() ?? []) {
      this.nameRest(rest)
      this.value.clear()
      this.value.copy(value, 0, value.length)
      writePut(out, this.key, this.value)
    }
  }

  restore(handle: number, _namespace: number, entry: EntryRange, removed: boolean): boolean {
    if (handle !== this.layout.handle) return false
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = entry
    const rest = bytes.subarray(keyStart + HANDLE_BYTES, keyEnd)
    this.restoring ??= this.names()
    const text = nameOf(rest)
    const present = this.restoring.get(text)
    if (removed) {
      this.restoring.delete(text)
      if (present !== undefined) this.leave(present)
      else this.spilled?.delete(rest)
    } else if (present === undefined && this.spilled?.has(rest) !== true)
      this.restoring.set(text, this.read(rest, bytes.subarray(valueStart, valueEnd)))
    return true
  }

  /** Events belong to no namespace. */
  forget(): void {}

  size(): StateSize {
    const { keys, queue, spilled } = this
    return {
      keys: keys.count + (spilled?.count ?? 0),
      bytes: keys.count * EVENT_BYTES + keys.byteSize + queue.byteSize + this.weight.of(keys.count) * HEAP_FACTOR,
      spilledKeys: spilled?.count ?? 0,
      spilledBytes: spilled?.bytes ?? 0
    }
  }

  age(store: SpillStore): void {
    this.spilled ??= new SpilledWaiting(store, this.prefix)
    if (this.drained < this.aged) return
    this.drained = 0
    this.aged = this.records.length
  }

  drain(limit: number): number {
    const { spilled } = this
    if (spilled === undefined) return 0
    let left = limit
    for (; left > 0 && this.drained < this.aged; this.drained++) {
      const slot = this.drained
      if (this.records[slot] === undefined || this.logged[slot] === 0) continue
      this.writeKey(slot)
      this.writeValue(slot)
      const rest = this.key.written().subarray(HANDLE_BYTES)
      spilled.put(this.queue.timeOf(slot), rest, this.value.written())
      this.restoring?.delete(nameOf(rest))
      this.leave(slot)
      left--
    }
    return limit - left
  }

  /** What restored entries may be of: they are put back twice at times, and a tombstone has no more than the name. */
  private names(): Map<string, number> {
    const names = new Map<string, number>()
    for (let slot = 0; slot < this.records.length; slot++) {
      if (this.records[slot] === undefined) continue
      this.writeKey(slot)
      names.set(nameOf(this.key.written().subarray(HANDLE_BYTES)), slot)
    }
    return names
  }

  private recall(spilled: SpilledWaiting): void {
    for (const [rest, value] of spilled.take(PAGE)) this.read(rest, value)
  }

  private make(
    kind: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    record: object,
    time: number,
    arrival: number
  ): number {
    const slot = this.keys.add(kind, bytes, start, end)
    this.records[slot] = record
    this.queue.put(slot, time, arrival)
    return slot
  }

  private read(rest: Uint8Array, value: Uint8Array): number {
    const { reader } = this
    reader.reset(rest)
    const kind = reader.varint()
    const end = reader.varint() + reader.at
    const start = reader.at
    const arrival = readOrdered(rest, end + 1)
    reader.reset(value)
    const time = reader.number()
    const record = this.layout.codec.read(value, reader.at, value.length) as object
    const slot = this.make(kind, rest, start, end, record, time, arrival)
    this.arrivals = Math.max(this.arrivals, arrival + 1)
    this.log(slot, value.length)
    return slot
  }

  private log(slot: number, bytes: number): void {
    this.logged[slot] = bytes
    this.weight.weigh(0, bytes)
  }

  private leave(slot: number): void {
    this.weight.leave(this.logged[slot]!)
    this.logged[slot] = GONE
    this.records[slot] = undefined
    this.queue.remove(slot)
    this.keys.remove(slot)
  }

  private writeKey(slot: number): void {
    const { keys } = this
    const [start, end] = [keys.startOf(slot), keys.endOf(slot)]
    this.key.clear()
    this.key.copy(this.prefix, 0, HANDLE_BYTES)
    this.key.u8(keys.kindOf(slot))
    this.key.varint(end - start)
    this.key.copy(keys.bytes, start, end)
    this.key.u8(NUMBER_KEY)
    writeOrdered(this.key, this.queue.orderOf(slot))
  }

  private nameRest(rest: Uint8Array): void {
    this.key.clear()
    this.key.copy(this.prefix, 0, HANDLE_BYTES)
    this.key.copy(rest, 0, rest.length)
  }

  private writeValue(slot: number): void {
    this.value.clear()
    writeNumber(this.value, this.queue.timeOf(slot))
    this.layout.codec.write(this.records[slot]!, this.value)
  }

  private write(slot: number, out: ByteWriter): void {
    this.writeKey(slot)
    this.writeValue(slot)
    writePut(out, this.key, this.value)
  }
}

/** In `logged`: the slot is free, and has nothing to write. */
const GONE = -1

const nameOf = (rest: Uint8Array): string => {
  let name = ""
  for (let i = 0; i < rest.length; i++) name += String.fromCharCode(rest[i]!)
  return name
}
