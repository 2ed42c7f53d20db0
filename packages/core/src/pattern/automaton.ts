import type { Condition, Taken } from "./spec.ts"

/** What is asked about an event, with what a partial match has taken. */
export interface Asking {
  readonly event: object
  /** What a test says of the event, asked once for all. */
  readonly holds: (test: number) => boolean
  readonly taken: Taken
  /** How long ago the partial match took its last event, in ms. */
  readonly gapMs: number
}

export type Guard = (asking: Asking) => boolean

export type Action = "take" | "ignore" | "proceed"

/** `proceed` needs no event of its own: it goes on with the same one. */
export interface Edge {
  readonly action: Action
  readonly target: State
  guard: Guard
}

/**
 * `pending`: a match, if it is still here when its time is over. `stop`: what gets here is given up. Events that are taken
 * on the way out of a state are those of the step that it is called after.
 */
export type StateKind = "start" | "normal" | "pending" | "stop" | "final"

export interface State {
  /** Its number in the automaton, and in state. */
  readonly number: number
  /** Copies of a state have its name. */
  readonly name: number
  kind: StateKind
  readonly step: string
  readonly edges: Edge[]
  /** The next event has to come less than so much after the last one. */
  gapMs: number
}

export const always: Guard = () => true
export const not =
  (guard: Guard): Guard =>
  asking =>
    !guard(asking)
export const both = (a: Guard, b: Guard): Guard => {
  if (a === always) return b
  return b === always ? a : asking => a(asking) && b(asking)
}

const NEVER = (): boolean => false

/** Tests on events alone, numbered: those that are the same function are the same test. */
export class Tests {
  readonly all: ((event: object) => boolean)[] = []
  private readonly numbers = new Map<(event: object) => boolean, number>()
  /** How many patterns ask each of them. */
  private readonly uses: number[] = []
  private readonly free: number[] = []

  number(test: (event: never) => boolean): number {
    const own = test as (event: object) => boolean
    const known = this.numbers.get(own)
    if (known !== undefined) return known
    const number = this.free.pop() ?? this.all.length
    this.all[number] = own
    this.uses[number] = 0
    this.numbers.set(own, number)
    return number
  }

  /** How many patterns ask it. */
  usesOf(test: (event: never) => boolean): number {
    return this.uses[this.number(test)]!
  }

  /** A pattern asks these. */
  retain(tests: Iterable<(event: never) => boolean>): void {
    for (const test of tests) this.uses[this.number(test)]!++
  }

  /** It is gone: the numbers of those that nobody else asks are free again. */
  release(tests: Iterable<(event: never) => boolean>): void {
    for (const test of tests) {
      const number = this.number(test)
      if (--this.uses[number]! > 0) continue
      this.numbers.delete(this.all[number]!)
      this.all[number] = NEVER
      this.free.push(number)
    }
  }

  guard(condition: Condition): Guard {
    switch (condition.kind) {
      case "test": {
        const number = this.number(condition.test)
        return asking => asking.holds(number)
      }
      case "iterative": {
        const test = condition.test as (event: object, taken: Taken) => boolean
        return asking => test(asking.event, asking.taken)
      }
      case "not":
        return not(this.guard(condition.of))
      default: {
        const guards = condition.of.map(one => this.guard(one))
        return condition.kind === "and"
          ? asking => guards.every(guard => guard(asking))
          : asking => guards.some(guard => guard(asking))
      }
    }
  }
}

/** A pattern as states and the edges between them. */
export interface Automaton {
  readonly states: readonly State[]
  readonly start: State
  /** The names of the steps, by the number under which events are kept. */
  readonly steps: readonly string[]
  /** The other way round. */
  readonly stepNumbers: ReadonlyMap<string, number>
}

/** The steps that may take an event from a state, whatever the conditions on the way. */
export const awaited = (state: State): readonly string[] => {
  const [seen, steps] = [new Set([state]), new Set<string>()]
  for (const at of seen)
    for (const { action, target } of at.edges) {
      if (action === "take" && target.kind !== "stop") steps.add(at.step)
      if (action === "proceed") seen.add(target)
    }
  return [...steps]
}
