import { ChangeReader, PREFIX_TOMBSTONE, PUT } from "./changes.ts"
import { StateError } from "./error.ts"
import { compareBytes } from "./order.ts"

/** One entry of a checkpoint: key and value. */
export type Entry = readonly [key: Uint8Array, value: Uint8Array]

interface Change {
  /** The key as `latin1` writes it. */
  readonly name: string
  readonly key: Uint8Array
  /** Undefined: removed. */
  readonly value: Uint8Array | undefined
  /** Its place among all changes: what prefix tombstones are compared with. */
  readonly sequence: number
}

/**
 * Makes a checkpoint out of the one before and the changelog since: compares bytes and runs no user code. Memory holds
 * the last change of each key, not the checkpoint.
 */
export class ChangeSet {
  private readonly changes = new Map<string, Change>()
  /** Prefix tombstones by prefix, with the place of the last one. */
  private readonly prefixes = new Map<string, number>()
  private readonly prefixLengths = new Set<number>()
  private sequence = 0

  /** Adds the changes of one changelog record; records come in log order. The bytes are copied. Throws StateError. */
  add(changes: Uint8Array): void {
    const reader = new ChangeReader(changes)
    while (reader.next()) this.change(reader)
  }

  /**
   * The entries after all changes, sorted by key. The checkpoint's must be sorted; they are pulled one by one and
   * handed on as they are. Throws StateError `Damaged` where they are not in order.
   */
  *merge(checkpoint: Iterable<Entry>): Generator<Entry> {
    const changes = this.sorted()
    let at = 0
    let last: Uint8Array | undefined
    for (const entry of checkpoint) {
      if (last !== undefined && compareBytes(last, entry[0]) >= 0) throw unsorted()
      last = entry[0]
      let order = 1
      for (; at < changes.length; at++) {
        order = compareBytes(changes[at]!.key, entry[0])
        if (order > 0) break
        if (order < 0) yield* this.alive(changes[at]!)
        else break
      }
      const replaced = at < changes.length && order === 0
      if (!replaced && !this.removedByPrefix(entry[0])) yield entry
    }
    for (; at < changes.length; at++) yield* this.alive(changes[at]!)
  }

  private change(reader: ChangeReader): void {
    const key = reader.key()
    const name = latin1(key)
    const sequence = this.sequence++
    if (reader.kind === PREFIX_TOMBSTONE) {
      this.prefixes.set(name, sequence)
      this.prefixLengths.add(key.length)
    } else {
      const value = reader.kind === PUT ? reader.value()!.slice() : undefined
      this.changes.set(name, { name, key: key.slice(), value, sequence })
    }
  }

  private sorted(): readonly Change[] {
    const names = Array.from(this.changes.keys()).sort()
    return names.map(name => this.changes.get(name)!)
  }

  private *alive(change: Change): Generator<Entry> {
    if (change.value !== undefined && !this.removed(change.name, change.sequence)) yield [change.key, change.value]
  }

  /** Of an entry of the checkpoint: any prefix tombstone came later. */
  private removedByPrefix(key: Uint8Array): boolean {
    return this.prefixes.size > 0 && this.removed(latin1(key), -1)
  }

  /** Whether a prefix tombstone came after `sequence`. */
  private removed(name: string, sequence: number): boolean {
    for (const length of this.prefixLengths)
      if ((this.prefixes.get(name.slice(0, length)) ?? -1) > sequence && name.length >= length) return true
    return false
  }
}

/** Arguments that one call surely takes. */
const CHUNK = 4096

/** One character for each byte: strings then compare like the bytes. */
const latin1 = (bytes: Uint8Array): string => {
  if (bytes.length <= CHUNK) return String.fromCharCode.apply(null, bytes as unknown as number[])
  let name = ""
  for (let i = 0; i < bytes.length; i += CHUNK) name += latin1(bytes.subarray(i, i + CHUNK))
  return name
}

const unsorted = (): StateError => new StateError("Damaged", "A checkpoint's entries are not sorted by key")
