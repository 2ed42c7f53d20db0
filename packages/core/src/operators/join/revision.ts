import { ByteWriter } from "../../bytes.ts"
import type { Key } from "../../key.ts"
import { ValueReader, writeNumber } from "../../state/number.ts"
import type { Op } from "../deduplicate.ts"
import type { Kept } from "../window/elements.ts"
import type { GivenRow } from "../window/given.ts"
import type { KeyWindow } from "../window/window.ts"
import type { JoinType } from "./intervalJoin.ts"
import { type Sided, sideOf } from "./sided.ts"

type Emit = (record: object) => void
type Made = (left: object | undefined, right: object | undefined, key: Key) => object
type MadeOfAll = (left: readonly object[], right: readonly object[], key: Key) => object

/**
 * What a window join has given out of some time, as that time and the place in the order of arrival behind the last event that it
 * was made of: its rows are made of those events again. Several, where sessions have become one.
 */
interface Given {
  readonly all: readonly Kept[]
  readonly left: readonly Kept[]
  readonly right: readonly Kept[]
}

/** What a firing is made of, and what earlier ones were. */
interface Firing {
  readonly key: Key
  readonly given: readonly Given[]
  readonly kept: readonly Kept[]
  readonly give: (op: Op, record: object) => void
}

/** Makes changes of what a window holds and held: nothing is kept for it but where it has come to. */
export class Revision {
  private readonly revise: (firing: Firing) => void
  private readonly reader = new ValueReader()

  constructor(revise: (firing: Firing) => void) {
    this.revise = revise
  }

  /** `before`: what the window held until its evictor came to it. */
  fire(key: Key, window: KeyWindow, kept: readonly Kept[], emit: Emit, before: readonly Kept[]): void {
    const given = window.given.map(one => this.givenOf(one, before))
    this.revise({ key, given, kept, give: (op, record) => emit({ op, record }) })
    window.given = kept.length === 0 ? [] : [{ start: window.start, end: window.end, row: placeBehind(kept) }]
  }

  private givenOf({ start, end, row }: GivenRow, before: readonly Kept[]): Given {
    this.reader.reset(row)
    const behind = this.reader.number()
    const all = before.filter(
      ({ sub, value: { timestamp } }) => (sub as number) < behind && timestamp >= start && timestamp < end
    )
    return { all, left: ofSide(all, "left"), right: ofSide(all, "right") }
  }
}

/** Behind those that are kept: numbers of others may be given again. */
const placeBehind = (kept: readonly Kept[]): Uint8Array => {
  const out = new ByteWriter(8)
  writeNumber(out, (kept.at(-1)!.sub as number) + 1)
  return out.written().slice()
}

const ofSide = (all: readonly Kept[], side: Sided["side"]): readonly Kept[] =>
  all.filter(({ value }) => (value.record as Sided).side === side)

const recordOf = ({ value }: Kept): object => (value.record as Sided).record

/** Rows that do not hold any more are taken back (`-D`), then the new ones come (`+I`). Those that still hold are not repeated. */
export const revisedPairs =
  (type: JoinType, combine: Made) =>
  ({ key, given, kept, give }: Firing): void => {
    const staying = new Set(kept)
    const [left, right] = [ofSide(kept, "left"), ofSide(kept, "right")]
    const alone = { left: type === "left" || type === "full", right: type === "right" || type === "full" }
    const row = (op: Op, one: Kept | undefined, other: Kept | undefined) =>
      give(op, combine(one && recordOf(one), other && recordOf(other), key))
    const givenIn = new Map(given.flatMap(one => one.all.map(element => [element, one] as const)))

    for (const one of given) {
      if (!one.all.every(element => staying.has(element)))
        for (const l of one.left) for (const r of one.right) if (!staying.has(l) || !staying.has(r)) row("-D", l, r)
      if (alone.left && one.right.length === 0)
        for (const l of one.left) if (!staying.has(l) || right.length > 0) row("-D", l, undefined)
      if (alone.right && one.left.length === 0)
        for (const r of one.right) if (!staying.has(r) || left.length > 0) row("-D", undefined, r)
    }

    // A late event may come to a window of many: what has been paired already is not gone through again.
    const unpaired = new Map(given.map(one => [one, right.filter(r => givenIn.get(r) !== one)]))
    for (const l of left) {
      const before = givenIn.get(l)
      for (const r of before === undefined ? right : unpaired.get(before)!) row("+I", l, r)
    }
    if (alone.left && right.length === 0)
      for (const l of left) if (givenIn.get(l)?.right.length !== 0) row("+I", l, undefined)
    if (alone.right && left.length === 0)
      for (const r of right) if (givenIn.get(r)?.left.length !== 0) row("+I", undefined, r)
  }

/** One row, which takes the place of the one before (`-U`, `+U`); those of sessions that have become one go (`-D`). */
export const revisedGroup =
  (combine: MadeOfAll) =>
  ({ key, given, kept, give }: Firing): void => {
    const made = (elements: readonly Kept[]) => combine(sideOf(elements, "left"), sideOf(elements, "right"), key)
    if (given.length === 1 && isSame(given[0]!.all, kept)) return
    for (const [i, { all }] of given.entries()) {
      const isReplaced = kept.length > 0 && i === given.length - 1
      give(isReplaced ? "-U" : "-D", made(all))
    }
    if (kept.length > 0) give(given.length === 0 ? "+I" : "+U", made(kept))
  }

const isSame = (one: readonly Kept[], other: readonly Kept[]): boolean =>
  one.length === other.length && one.every((element, i) => element === other[i])
