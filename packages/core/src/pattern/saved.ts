import type { ByteWriter } from "../bytes.ts"
import type { ValueCodec } from "../codec.ts"
import { ValueReader, writeNumber } from "../state/number.ts"
import type { Automaton } from "./automaton.ts"
import { type Link, Matches, type Partial, type Seen } from "./matching.ts"

/** Matches as they are kept: links and events by number, so that what several have in common stands there once. */
interface Saved {
  /** `before` is a place in this list, or -1. */
  readonly links: readonly { readonly before: number; readonly step: number; readonly event: number }[]
  readonly partials: readonly { readonly state: number; readonly last: number; readonly first: number }[]
  /** How many of `partials`, at the end, are held back. */
  readonly held: number
}

/**
 * What a cell holds: the matches of one version of a pattern. Read from state it is `saved` until somebody needs it, since its
 * events may come later.
 */
export class Kept {
  /** The pattern's `what`, as a number. */
  readonly version: number
  private saved: Saved | undefined
  private made: { readonly matches: Matches; readonly automaton: Automaton } | undefined

  private constructor(version: number, saved: Saved | undefined, made: Kept["made"]) {
    this.version = version
    this.saved = saved
    this.made = made
  }

  static of(version: number, matches: Matches, automaton: Automaton): Kept {
    return new Kept(version, undefined, { matches, automaton })
  }

  static read(version: number, saved: Saved): Kept {
    return new Kept(version, saved, undefined)
  }

  /** How many partial matches, and complete ones held back, it has. */
  get size(): number {
    return this.saved?.partials.length ?? this.made!.matches.partials.length + this.made!.matches.held.length
  }

  /** `event`: one of the key, by its number. `automaton`: that of this version. */
  matches(automaton: Automaton, event: (number: number) => Seen): Matches {
    this.made ??= { matches: restored(this.saved!, automaton, event), automaton }
    this.saved = undefined
    return this.made.matches
  }

  save(): Saved {
    return this.saved ?? saved(this.made!.matches, this.made!.automaton)
  }
}

const saved = ({ partials, held }: Matches, { stepNumbers }: Automaton): Saved => {
  const places = new Map<Link, number>()
  const links: { before: number; step: number; event: number }[] = []
  const place = (link: Link | undefined): number => {
    if (link === undefined) return -1
    const known = places.get(link)
    if (known !== undefined) return known
    const before = place(link.before)
    const at = links.push({ before, step: stepNumbers.get(link.step)!, event: link.event.number }) - 1
    places.set(link, at)
    return at
  }
  const all = [...partials, ...held].map(({ state, last, first }) => ({
    state: state.number,
    last: place(last),
    first: first.number
  }))
  return { links, partials: all, held: held.length }
}

const restored = ({ links, partials, held }: Saved, automaton: Automaton, event: (number: number) => Seen): Matches => {
  const made: Link[] = []
  for (const link of links)
    made.push({ before: made[link.before], step: automaton.steps[link.step]!, event: event(link.event) })
  const all = partials.map(
    ({ state, last, first }): Partial => ({
      state: automaton.states[state]!,
      last: made[last]!,
      first: event(first)
    })
  )
  const matches = new Matches()
  matches.partials = all.slice(0, all.length - held)
  matches.held = all.slice(all.length - held)
  matches.changed = false
  return matches
}

/** Numbers only: the version, links, matches, and how many of them are held back. */
export const keptCodec = (): ValueCodec<Kept> => {
  const reader = new ValueReader()
  return {
    write: (kept, out) => {
      const { links, partials, held } = kept.save()
      writeNumber(out, kept.version)
      writeNumbers(
        out,
        links.flatMap(({ before, step, event }) => [before, step, event])
      )
      writeNumbers(
        out,
        partials.flatMap(({ state, last, first }) => [state, last, first])
      )
      writeNumber(out, held)
    },
    read: (bytes, start, end) => {
      reader.reset(bytes.subarray(start, end))
      const version = reader.number()
      const links = triples(reader).map(([before, step, event]) => ({ before, step, event }))
      const partials = triples(reader).map(([state, last, first]) => ({ state, last, first }))
      const held = reader.number()
      reader.end()
      return Kept.read(version, { links, partials, held })
    }
  }
}

const writeNumbers = (out: ByteWriter, numbers: readonly number[]): void => {
  writeNumber(out, numbers.length)
  for (const number of numbers) writeNumber(out, number)
}

const triples = (reader: ValueReader): readonly (readonly [number, number, number])[] =>
  Array.from({ length: reader.number() / 3 }, () => [reader.number(), reader.number(), reader.number()] as const)
