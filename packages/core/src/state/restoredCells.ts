import type { Key } from "../key.ts"
import { type Entry, type EntryRange, EntryReader, KeyOrder } from "./block.ts"
import type { BlockIndex } from "./blockIndex.ts"
import type { Cell } from "./cell.ts"
import { type CellEntries, rowEnd } from "./cellEntries.ts"
import { EntryRun } from "./entryRun.ts"
import { LooseEntries } from "./looseEntries.ts"
import { HANDLE_BYTES, sharedBytes } from "./order.ts"

/** Some of the entries. */
interface Part {
  readonly run: EntryRun
  /** None of them is due before this; if `exact`, one is due then. Infinity: none ever is. */
  due: number
  exact: boolean
}

/**
 * Cells as they came from the checkpoint and the changelog, which nobody has asked for since: to make objects of a million
 * entries takes seconds, most of which nobody needs soon. What a key has leaves together, because somebody uses it or
 * because it is due.
 */
export class RestoredCells<V> {
  /** Keys in the parts, and what those take in memory. */
  private partRows = 0
  private partBytes = 0
  /** Greater than the orders of all of them. */
  orders = 0
  /** What came from the checkpoint, in the order of the keys; none of them is empty. */
  private readonly parts: Part[] = []
  /** What came from the changelog: of other keys than those. */
  private readonly loose = new LooseEntries()
  /** The least of the parts. */
  private nextDue = Number.POSITIVE_INFINITY
  private readonly entries: CellEntries<V>
  private readonly order = new KeyOrder()
  private readonly reader = new EntryReader()
  /** Of the entries of the run that is taken up. */
  private starts = new Int32Array(1024)

  constructor(entries: CellEntries<V>) {
    this.entries = entries
  }

  /** Keys. */
  get rows(): number {
    return this.partRows + this.loose.held
  }

  /** What they take in memory. */
  get bytes(): number {
    return this.partBytes + this.loose.bytes
  }

  /** Copies the entries that the reader stands before; they come behind all that are here. Throws StateError. */
  add(entries: EntryReader): void {
    const { timed } = this.entries.layout
    const index = timed ? undefined : entries.whole
    if (index !== undefined) return this.addWhole(entries, index)
    const from = entries.valueEnd
    let count = 0
    let due = Number.POSITIVE_INFINITY
    while (entries.next()) {
      // The first may come behind another handle's.
      const shared = this.order.next(entries, count === 0 ? 0 : HANDLE_BYTES)
      if (shared < rowEnd(entries) - entries.keyStart) this.partRows++
      if (count === this.starts.length) this.starts = grown(this.starts)
      this.starts[count++] = entries.start - from
      if (timed) due = Math.min(due, this.dueOf(entries))
    }
    this.order.keep()
    this.keep(new EntryRun(entries.bytes.slice(from, entries.valueEnd), this.starts.slice(0, count)), due)
  }

  /** The same for a block of nothing else, which knows where each entry starts: only its ends are looked at. */
  private addWhole(entries: EntryReader, index: BlockIndex): void {
    const { starts, rows } = index
    const from = entries.valueEnd
    entries.next()
    const goesOn = this.order.next(entries) >= rowEnd(entries) - entries.keyStart
    this.partRows += goesOn ? rows - 1 : rows
    if (starts.length > 1) {
      entries.toLast(index)
      this.order.next(entries)
    }
    this.order.keep()
    this.keep(new EntryRun(entries.bytes.slice(from, entries.valueEnd), starts), Number.POSITIVE_INFINITY)
  }

  private keep(run: EntryRun, due: number): void {
    this.parts.push({ run, due, exact: true })
    this.partBytes += run.byteSize
    this.nextDue = Math.min(this.nextDue, due)
  }

  /** Copies an entry of what is never due, whose key has no others, in place of what that had. */
  put(entry: EntryRange): void {
    if (!this.loose.put(entry)) this.removePart(entry)
  }

  /** Forgets such an entry. */
  remove(entry: EntryRange): void {
    if (this.loose.take(entry.bytes, entry.keyStart, entry.keyEnd) === undefined) this.removePart(entry)
  }

  private removePart({ bytes, keyStart, keyEnd }: EntryRange): void {
    const key = bytes.subarray(keyStart, keyEnd)
    this.passRow(key, key.length, () => {})
  }

  /** The cells of a key, which are here no longer; empty if it has none. */
  take(key: Key): readonly Cell<V>[] {
    this.entries.writeRowKey(key)
    const { bytes, length } = this.entries.key
    const value = this.loose.held === 0 ? undefined : this.loose.take(bytes, 0, length)
    if (value !== undefined) return [this.entries.read(key, undefined, value, 0, value.length)]
    return this.takeRow(key, bytes, length)
  }

  /** The cells of some key, which are here no longer. Only while there is one. */
  takeFirst(): readonly Cell<V>[] {
    const [part] = this.parts
    if (part !== undefined) return this.takeFirstOf(part.run)
    const name = this.loose.firstKey()
    return this.take(this.entries.readKeys(name, 0, name.length)[0])
  }

  /** Whether there is a cell that is due. At the end of time every one is that has a time. */
  isDue(watermark: number): boolean {
    if (!this.entries.layout.timed) return false
    while (this.nextDue <= watermark) {
      const part = this.dueFirst()
      if (part === undefined || part.exact) return part !== undefined
      part.due = this.firstDueOf(part.run)
      part.exact = true
      this.findNextDue()
    }
    return false
  }

  /** The cells that are due first, and others beside them, which are here no longer. Only while one `isDue`. */
  takeDue(): readonly Cell<V>[] {
    const { run } = this.dueFirst()!
    const taken: Cell<V>[] = []
    while (run.held > 0) taken.push(...this.takeFirstOf(run))
    return taken
  }

  *all(): Generator<Entry> {
    const { reader } = this
    for (const { run } of this.parts)
      for (let slot = run.firstSlot; slot < run.slots; slot++) {
        if (!run.holds(slot)) continue
        run.stand(slot, reader)
        const { bytes, keyStart, keyEnd, valueStart, valueEnd } = reader
        yield [bytes.subarray(keyStart, keyEnd), bytes.subarray(valueStart, valueEnd)]
      }
    yield* this.loose.all()
  }

  private takeFirstOf(run: EntryRun): readonly Cell<V>[] {
    run.stand(run.firstSlot, this.reader)
    const { bytes, keyStart } = this.reader
    const prefix = bytes.slice(keyStart, rowEnd(this.reader))
    const [key] = this.entries.readKeys(prefix, 0, prefix.length)
    return this.takeRow(key, prefix, prefix.length)
  }

  private takeRow(key: Key, prefix: Uint8Array, length: number): readonly Cell<V>[] {
    const taken: Cell<V>[] = []
    this.passRow(prefix, length, (part, slot) => taken.push(this.read(key, part, slot, length)))
    return taken
  }

  /** Shows the entries of a key, whose keys begin with `prefix[0, length)`, and lets them leave. Several parts may have some. */
  private passRow(prefix: Uint8Array, length: number, show: (part: Part, slot: number) => void): void {
    const before = this.partRows
    let isWhole = false
    for (let at = this.partOf(prefix, length); !isWhole && at < this.parts.length; ) {
      const part = this.parts[at]!
      const { run } = part
      const held = run.held
      const from = run.slotOf(prefix, length, this.reader)
      let slot = from
      for (; slot < run.slots && this.begins(run, slot, prefix, length); slot++) if (run.holds(slot)) show(part, slot)
      isWhole = slot < run.slots
      if (slot > from) this.leave(part, from, slot)
      if (run.held < held) this.partRows = before - 1
      if (run.held > 0) at++
    }
  }

  private read(key: Key, part: Part, slot: number, length: number): Cell<V> {
    part.run.stand(slot, this.reader)
    const { bytes, keyStart, keyEnd, valueStart, valueEnd } = this.reader
    const cell = this.entries.read(
      key,
      this.entries.readSub(bytes, keyStart + length, keyEnd),
      bytes,
      valueStart,
      valueEnd
    )
    if (cell.due === part.due) part.exact = false
    return cell
  }

  private leave(part: Part, from: number, to: number): void {
    const { run } = part
    this.partBytes -= run.byteSize
    run.leave(from, to, this.reader)
    if (run.held > 0) this.partBytes += run.byteSize
    else this.drop(part)
  }

  private drop(part: Part): void {
    this.parts.splice(this.parts.indexOf(part), 1)
    if (part.due === this.nextDue) this.findNextDue()
  }

  /** The part in which the first key that is not before `prefix` stands, or behind which it would. */
  private partOf(prefix: Uint8Array, length: number): number {
    let low = 0
    let lowShared = 0
    let highShared = 0
    for (let high = this.parts.length; high - low > 1; ) {
      const middle = (low + high) >>> 1
      const known = Math.min(lowShared, highShared)
      const shared = this.parts[middle]!.run.compare(0, prefix, length, known, this.reader)
      if (shared >= 0) {
        low = middle
        lowShared = shared
      } else {
        high = middle
        highShared = ~shared
      }
    }
    return low
  }

  private begins(run: EntryRun, slot: number, prefix: Uint8Array, length: number): boolean {
    run.stand(slot, this.reader)
    const { bytes, keyStart, keyEnd } = this.reader
    return sharedBytes(bytes, keyStart, keyEnd, prefix, 0, length) === length
  }

  private dueFirst(): Part | undefined {
    return this.parts.find(({ due }) => due === this.nextDue)
  }

  private findNextDue(): void {
    this.nextDue = Number.POSITIVE_INFINITY
    for (const { due } of this.parts) this.nextDue = Math.min(this.nextDue, due)
  }

  private firstDueOf(run: EntryRun): number {
    let first = Number.POSITIVE_INFINITY
    for (let slot = run.firstSlot; slot < run.slots; slot++) {
      if (!run.holds(slot)) continue
      run.stand(slot, this.reader)
      first = Math.min(first, this.dueOf(this.reader))
    }
    return first
  }

  private dueOf({ bytes, valueStart, valueEnd }: EntryRange): number {
    const [due, order] = this.entries.readTime(bytes, valueStart, valueEnd)
    this.orders = Math.max(this.orders, order + 1)
    return due
  }
}

const grown = (numbers: Int32Array<ArrayBuffer>): Int32Array<ArrayBuffer> => {
  const wider = new Int32Array(numbers.length * 2)
  wider.set(numbers)
  return wider
}
