import type { Automaton } from "./automaton.ts"
import { type Partial, type Seen, waysOf } from "./matches.ts"
import type { OpenEvent } from "./open.ts"

/** Events by the steps that took them, in the order of their first one. */
export type Match = Readonly<Record<string, readonly object[]>>

/** What a match, or part of one, has taken: step by step. */
export const eventsOf = (partial: Partial, { steps }: Automaton): Match => {
  const match: Record<string, object[]> = {}
  for (const { step, event } of waysOf(partial)) {
    const name = steps[step]!
    // Every object has something under some names.
    if (Object.hasOwn(match, name)) match[name]!.push(event.record)
    else match[name] = [event.record]
  }
  return match
}

/** The same, event by event, in the order in which they were taken. */
export const takenBy = (partial: Partial, { steps }: Automaton): readonly OpenEvent[] =>
  waysOf(partial).map(({ step, event, before }) => ({
    step: steps[step]!,
    at: event.timestamp,
    ignored: ignoredBetween(before?.event, event),
    event: event.record
  }))

/** The numbers of the events that one of its steps has taken. */
export const numbersOf = (partial: Partial, step: string, { stepNumbers }: Automaton): readonly number[] => {
  const number = stepNumbers.get(step)
  return waysOf(partial)
    .filter(one => one.step === number)
    .map(({ event }) => event.number)
}

/** A match takes each event once: where both have the same turn, they are not counted. */
const ignoredBetween = (before: Seen | undefined, { turn }: Seen): number | undefined => {
  if (before === undefined) return turn === 0 ? undefined : 0
  return turn === before.turn ? undefined : turn - before.turn - 1
}
