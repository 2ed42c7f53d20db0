import type { StoredCodec } from "../codec.ts"
import type { Key } from "../key.ts"
import { Cells } from "./cells.ts"

/** One named state of a process operator, as the builder describes it. Kept for each key. */
export type StateSpec = Stored & (Plain | Folding)

interface Stored {
  readonly codec: StoredCodec
  /** How long an entry lives behind its last write, in ms of event time; undefined: until it is cleared. */
  readonly ttlMs: number | undefined
}
interface Plain {
  readonly kind: "value" | "list" | "map"
}
interface Folding {
  readonly kind: "aggregating"
  readonly init: () => unknown
  readonly add: (state: never, input: never) => unknown
  readonly result: (state: never) => unknown
}

/** One value. Values are not to be changed in place: what `set` has not seen is not written. */
export interface ValueHandle<A> {
  readonly get: () => A | undefined
  readonly set: (value: A) => void
  readonly clear: () => void
}
/** Values in the order in which they were appended. Appending never rewrites the others. */
export interface ListHandle<A> {
  readonly get: () => readonly A[]
  readonly append: (value: A) => void
  readonly clear: () => void
}
/** Values by key; setting one never rewrites the others. */
export interface MapHandle<K, A> {
  readonly get: (key: K) => A | undefined
  readonly has: (key: K) => boolean
  readonly set: (key: K, value: A) => void
  readonly delete: (key: K) => void
  /** In the order of their keys. */
  readonly entries: () => readonly (readonly [K, A])[]
  readonly clear: () => void
}
/** What was added, folded. */
export interface AggregatingHandle<A, B> {
  readonly add: (input: A) => void
  /** Undefined if nothing was added. */
  readonly get: () => B | undefined
  readonly clear: () => void
}

/** A map that can be looked at only. */
export type ReadonlyMapHandle<K, A> = Pick<MapHandle<K, A>, "get" | "has" | "entries">

/** Whose state it is at the moment, and when that is. Throws outside of a call of the user's functions. */
export interface Current {
  readonly key: Key
  readonly now: number
}

/** A handle of a user's, and the cells behind it. */
export interface Handle {
  readonly cells: Cells<unknown>
  readonly handle: unknown
}

/** One state of a `process` step: the cells by its number among the step's states, and what user functions get of them. */
export const makeHandle = (id: string, number: number, spec: StateSpec, current: Current): Handle => {
  const timed = spec.ttlMs !== undefined
  const cells = new Cells<unknown>({ id, handle: number, codec: spec.codec, timed })
  const alive = new Alive(cells, current, spec.ttlMs ?? Number.POSITIVE_INFINITY)
  return { cells, handle: handleOf(spec, alive) }
}

/** The key under which stands what belongs to no key, but to the partition as a whole. */
const SHARED: Current = { key: "", now: 0 }

/** A map that all keys of a partition see. */
export const makeShared = (id: string, number: number, codec: StoredCodec) => {
  const cells = new Cells<unknown>({ id, handle: number, codec, timed: false })
  return { cells, handle: map(new Alive(cells, SHARED, Number.POSITIVE_INFINITY)) }
}

const handleOf = (spec: StateSpec, alive: Alive): unknown => {
  if (spec.kind === "aggregating") return aggregating(alive, spec)
  if (spec.kind === "list") return list(alive)
  return spec.kind === "map" ? map(alive) : value(alive)
}

/**
 * The cells of the current key that have not expired. What has expired is out of sight at once by the time of the
 * record or timer, whether the watermark has already removed it or not: results do not depend on that.
 */
class Alive {
  private readonly cells: Cells<unknown>
  private readonly current: Current
  private readonly ttlMs: number

  constructor(cells: Cells<unknown>, current: Current, ttlMs: number) {
    this.cells = cells
    this.current = current
    this.ttlMs = ttlMs
  }

  find(sub?: Key): { readonly value: unknown } | undefined {
    const { key, now } = this.current
    const cell = this.cells.find(key, sub)
    return cell === undefined || cell.due <= now ? undefined : cell
  }

  all(): readonly { readonly sub: Key | undefined; readonly value: unknown }[] {
    const { key, now } = this.current
    return this.cells.all(key).filter(cell => cell.due > now)
  }

  /** A write of an earlier event time, out of order, does not shorten an entry's life. */
  put(sub: Key | undefined, value: unknown): void {
    const { key, now } = this.current
    const before = this.cells.find(key, sub)?.due ?? Number.NEGATIVE_INFINITY
    this.cells.put(key, sub, value, Math.max(now + this.ttlMs, before))
  }

  append(value: unknown): void {
    this.put(this.cells.next(this.current.key), value)
  }

  delete(sub?: Key): void {
    const cell = this.cells.find(this.current.key, sub)
    if (cell !== undefined) this.cells.remove(cell)
  }

  clear(): void {
    for (const cell of this.cells.all(this.current.key)) this.cells.remove(cell)
  }
}

const value = (alive: Alive): ValueHandle<unknown> => ({
  get: () => alive.find()?.value,
  set: one => alive.put(undefined, one),
  clear: () => alive.delete()
})

const list = (alive: Alive): ListHandle<unknown> => ({
  get: () => alive.all().map(cell => cell.value),
  append: one => alive.append(one),
  clear: () => alive.clear()
})

const map = (alive: Alive): MapHandle<Key, unknown> => ({
  get: key => alive.find(wellFormed(key))?.value,
  has: key => alive.find(wellFormed(key)) !== undefined,
  set: (key, one) => alive.put(wellFormed(key), one),
  delete: key => alive.delete(wellFormed(key)),
  entries: () => alive.all().map(cell => [cell.sub!, cell.value] as const),
  clear: () => alive.clear()
})

const aggregating = (alive: Alive, { init, add, result }: Folding): AggregatingHandle<unknown, unknown> => ({
  add: input => {
    const cell = alive.find()
    alive.put(undefined, add((cell === undefined ? init() : cell.value) as never, input as never))
  },
  get: () => {
    const cell = alive.find()
    return cell === undefined ? undefined : result(cell.value as never)
  },
  clear: () => alive.delete()
})

/** As the key is once it was bytes: without lone surrogates, which UTF-8 does not have, and without a negative zero. */
const wellFormed = (key: Key): Key => {
  if (typeof key === "number") return key + 0
  return typeof key === "string" ? key.toWellFormed() : key
}
