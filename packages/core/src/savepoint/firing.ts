import { type Key, readKey } from "../key.ts"
import { NO_WATERMARK } from "../operator.ts"
import { FIRED } from "../operators/firedKeys.ts"
import type { Progress } from "../operators/progress.ts"
import { type Grid, gridOf } from "../operators/window/grid.ts"
import { ValueReader } from "../state/number.ts"
import { NAMESPACE_BYTES, OPERATOR_BYTES, readOrdered } from "../state/order.ts"
import { assignerOf, type StateSchema } from "../state/schema.ts"
import type { Owner } from "./placement.ts"

const ROWS = 2

/** A key that is out of a window which has not fired for others of its partition. */
export interface FiredKey {
  readonly key: Key
  readonly bytes: Uint8Array
  readonly owner: Owner
  /** The last ms of that window. */
  readonly fired: number
}

/** Where a key stands in the order of a firing: that of the first pane which has it, and within it of its arrival. */
interface Place extends Omit<FiredKey, "fired"> {
  readonly rank: number
  readonly arrival: number
}

/**
 * Which keys of one partition are out of the window that was just firing when a savepoint was taken: the first ones, in
 * the order in which `GridWindow` fires them. Memory holds the keys of that window.
 */
export class Firing {
  private readonly grid: Grid
  private readonly progress: Progress
  private readonly places = new Map<Key, Place>()
  private readonly before = new Map<Key, FiredKey>()
  private readonly reader = new ValueReader()
  private window: number | undefined
  private out: readonly FiredKey[] | undefined

  constructor(schema: Extract<StateSchema, { readonly kind: "window" }>, progress: Progress) {
    this.grid = gridOf(assignerOf(schema))
    this.progress = progress
  }

  /** Takes an entry of a key; they come in key order, that of the panes. */
  take(key: Uint8Array, value: Uint8Array, owner: Owner): void {
    const handle = key[NAMESPACE_BYTES]!
    if (handle === FIRED) this.keep(key, value, owner)
    else if (handle === ROWS && this.progress.emitted > 0) this.place(key, value, owner)
  }

  /** All that are out. Call it behind the last entry. */
  get keys(): readonly FiredKey[] {
    this.out ??= this.find()
    return this.out
  }

  private find(): readonly FiredKey[] {
    const order = [...this.places.values()].sort((a, b) => a.rank - b.rank || a.arrival - b.arrival)
    this.places.clear()
    const all = this.before
    for (const one of order.slice(0, this.progress.emitted)) {
      const fired = this.grid.maxTimestamp(this.window!)
      if (fired > (all.get(one.key)?.fired ?? NO_WATERMARK)) all.set(one.key, { ...one, fired })
    }
    return [...all.values()]
  }

  /** One that was out before its partition came to be. */
  private keep(bytes: Uint8Array, value: Uint8Array, owner: Owner): void {
    this.reader.reset(value)
    const one = copied(bytes, owner)
    this.before.set(one.key, { ...one, fired: this.reader.number() })
  }

  private place(bytes: Uint8Array, value: Uint8Array, owner: Owner): void {
    const { grid } = this
    const pane = grid.paneOf(readOrdered(bytes, OPERATOR_BYTES))
    // Panes come in the order of time: the first one that is in a window which has not fired is in the first such window.
    const next = Math.max(grid.first(pane), grid.after(this.progress.fired))
    if (this.window === undefined && next <= grid.last(pane)) this.window = next
    const { window } = this
    if (window === undefined || pane < grid.from(window) || pane >= grid.to(window)) return
    const cut = grid.cut(window)
    const rank = pane < cut ? cut - 1 - pane : pane - grid.from(window)
    const known = this.places.get(readKey(bytes, owner.start, owner.end, owner.kind))
    if (known !== undefined && known.rank < rank) return
    this.reader.reset(value)
    const one = copied(bytes, owner)
    this.places.set(one.key, { ...one, rank, arrival: this.reader.number() })
  }
}

const copied = (bytes: Uint8Array, { kind, start, end }: Owner) => ({
  key: readKey(bytes, start, end, kind),
  bytes: new Uint8Array(bytes.subarray(start, end)),
  owner: { kind, start: 0, end: end - start }
})
