import type { Answers } from "./answers.ts"
import type { Asking, Automaton, State } from "./automaton.ts"
import type { Partial, Seen } from "./matches.ts"
import type { Taken } from "./spec.ts"

/** The conditions of one partial match and event, and where they lead. One object for all of an automaton. */
export class Way implements Asking, Taken {
  event: object = {}
  readonly taken = this
  private time = 0
  private partial: Partial | undefined
  private readonly automaton: Automaton
  private readonly answers: Answers
  /** Scratch: states to go on from. */
  private readonly states: State[] = []

  constructor(automaton: Automaton, answers: Answers) {
    this.automaton = automaton
    this.answers = answers
  }

  /** `partial`: undefined where nothing has been taken yet. */
  at(partial: Partial | undefined, event: Seen): void {
    this.partial = partial
    this.event = event.record
    this.time = event.timestamp
  }

  get gapMs(): number {
    return this.partial === undefined ? 0 : this.time - this.partial.event.timestamp
  }

  holds(test: number): boolean {
    return this.answers.holds(test)
  }

  of(step: string): readonly object[] {
    const number = this.automaton.stepNumbers.get(step)
    const events: object[] = []
    for (let one = this.partial; one !== undefined; one = one.before)
      if (one.step === number) events.push(one.event.record)
    return events.reverse()
  }

  /** Whether nothing more has to come. */
  reachesEnd(state: State): boolean {
    const { states } = this
    states[0] = state
    for (let size = 1; size > 0; ) {
      const { edges } = states[--size]!
      for (let i = 0; i < edges.length; i++) {
        const { action, target, guard } = edges[i]!
        if (action !== "proceed" || !guard(this)) continue
        if (target.kind === "final") return true
        states[size++] = target
      }
    }
    return false
  }
}
