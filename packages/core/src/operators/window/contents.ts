import type { Key } from "../../key.ts"
import type { Cells } from "../../state/cells.ts"
import type { KeyedPart } from "../eventTime.ts"
import type { KeyWindow } from "./window.ts"

/** What the windows of a key hold, and what they make of it. */
export interface Contents {
  /** The windows themselves: due when something is to happen to them. */
  readonly windows: Cells<KeyWindow>
  /** All state that there is. */
  readonly parts: readonly KeyedPart[]
  /** Makes a new window's contents. */
  readonly begin: (window: KeyWindow) => void
  /** An event of a key that at least one window takes. Called once for each, before the windows include it. */
  readonly arrive: (key: Key, record: object, timestamp: number) => void
  readonly include: (window: KeyWindow, record: object, timestamp: number) => void
  /** Sessions become one, which is new: adds up what they hold. Their order is that of their start. */
  readonly merge: (into: KeyWindow, from: readonly KeyWindow[]) => void
  /** Forgets what a window holds. Its state is written by the caller. */
  readonly purge: (key: Key, window: KeyWindow) => void
  /** A window has gone: forgets what no other window of the key holds. */
  readonly sweep: (key: Key) => void
  /** Hands on what the window gives out: nothing if it is empty. */
  readonly fire: (key: Key, window: KeyWindow, emit: (record: object) => void) => void
}
