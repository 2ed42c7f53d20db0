import type { Key } from "../key.ts"

/** A partial match, or a complete one that is held back: what a key has under way. */
export interface OpenMatch {
  readonly pattern: string
  /** The steps whose events may come next; none of a match that is held back. */
  readonly waitsFor: readonly string[]
  /** When its time is over, in event time; Infinity: never. */
  readonly until: number
  /** What it has taken, in that order. */
  readonly path: readonly OpenEvent[]
  /** How many events of the key came since; undefined where they are not counted. */
  readonly ignored: number | undefined
}

/** An event that a partial match has taken. `at`: its event time in ms. */
export interface OpenEvent {
  readonly step: string
  readonly at: number
  /** How many events of the key came between it and the one before. */
  readonly ignored: number | undefined
  readonly event: object
}

/** The keys that a person may mean by a text: keys of numbers look like it. */
export const keysOf = (text: string): readonly Key[] => {
  if (!/^-?\d+$/.test(text)) return text.trim() !== "" && Number.isFinite(Number(text)) ? [text, Number(text)] : [text]
  return [text, Number(text), BigInt(text)]
}
