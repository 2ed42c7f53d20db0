import type { Entry } from "./block.ts"

/**
 * Where state goes that is too much for memory: entries in the order of their keys as bytes, for one partition. It is
 * memory by other means, never the truth: made empty, thrown away with the partition's state, and nothing in it
 * outlives the process. Every call throws SpillError where the disk does not do what it should; state is then whatever
 * was committed, and has to come back from the log.
 */
export interface SpillStore {
  /** Puts an entry, in place of one with the same key. Both ranges are copied. */
  readonly put: (key: Uint8Array, value: Uint8Array) => void
  readonly get: (key: Uint8Array) => Uint8Array | undefined
  readonly delete: (key: Uint8Array) => void
  /** Up to `limit` entries whose keys start with `prefix`, from the key `from` on. They stay valid. */
  readonly scan: (prefix: Uint8Array, from: Uint8Array, limit: number) => readonly Entry[]
  /** Deletes the first entries that start with `prefix`, up to `limit`, and answers how many there were. */
  readonly deletePrefix: (prefix: Uint8Array, limit: number) => number
  /** Throws away what it holds. */
  readonly close: () => void
}

/** Spilled state cannot be written or read: the disk is full, or broken. `message` says where and what to do. */
export class SpillError extends Error {
  override readonly name = "SpillError"
}

/** How much state there is: in memory, and of it in the spill store. */
export interface StateSize {
  /** Entries by key; of windows, keys of each window. In memory or spilled. */
  keys: number
  /** Memory that it takes: what typed columns allocate, an estimate for JavaScript's objects. */
  bytes: number
  spilledKeys: number
  /** Of keys and values, without what the store takes for itself. */
  spilledBytes: number
}

/** Of a state with nothing in it. */
export const noState = (): StateSize => ({ keys: 0, bytes: 0, spilledKeys: 0, spilledBytes: 0 })

/** Adds to the first one, and answers with it. */
export const addSize = (sum: StateSize, one: StateSize): StateSize => {
  sum.keys += one.keys
  sum.bytes += one.bytes
  sum.spilledKeys += one.spilledKeys
  sum.spilledBytes += one.spilledBytes
  return sum
}

/**
 * State that can leave memory. It has two ages: what was used since the last `age` is young, what was not is old, and
 * `drain` moves the old to the store bit by bit. Using an old or spilled entry makes it young again. While nothing was
 * ever aged, all of it is young, and costs nothing.
 */
export interface Spilling {
  readonly size: () => StateSize
  /** Makes all that is young old. Only behind a `delta`; what is still old stays. The store is always the same one. */
  readonly age: (store: SpillStore) => void
  /** Moves up to `limit` old entries to the store; answers how many. Fewer than asked for: none are left. */
  readonly drain: (limit: number) => number
}

/** Drains several, one after the other. */
export const drainAll = (all: Iterable<Spilling>, limit: number): number => {
  let left = limit
  for (const one of all) if (left > 0) left -= one.drain(left)
  return limit - left
}

/** How many entries are read from the store at a time, where all of a range are wanted. */
const PAGE = 1024

/** All entries of a prefix, in order. The store may not be changed meanwhile. */
export function* entriesOf(store: SpillStore, prefix: Uint8Array): Generator<Entry> {
  let from = prefix
  for (;;) {
    const page = store.scan(prefix, from, PAGE)
    yield* page
    if (page.length < PAGE) return
    const [last] = page[PAGE - 1]!
    from = new Uint8Array(last.length + 1)
    from.set(last)
  }
}
