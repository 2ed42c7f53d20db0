import type { Answers } from "./answers.ts"
import type { Asking, Automaton, State } from "./automaton.ts"
import type { Link, Seen } from "./matches.ts"
import type { Taken } from "./spec.ts"

/** The conditions of one partial match and event, and where they lead. One object for all of an automaton. */
export class Way implements Asking, Taken {
  event: object = {}
  readonly taken = this
  gapMs = 0
  private last: Link | undefined
  private readonly automaton: Automaton
  private readonly answers: Answers
  private readonly open: State[] = []

  constructor(automaton: Automaton, answers: Answers) {
    this.automaton = automaton
    this.answers = answers
  }

  /** `last`: what the partial match has taken last. */
  at(last: Link | undefined, event: Seen): void {
    this.last = last
    this.event = event.record
    this.gapMs = last === undefined ? 0 : event.timestamp - last.event.timestamp
  }

  holds(test: number): boolean {
    return this.answers.holds(test)
  }

  of(step: string): readonly object[] {
    const number = this.automaton.stepNumbers.get(step)
    const events: object[] = []
    for (let link = this.last; link !== undefined; link = link.before)
      if (link.step === number) events.push(link.event.record)
    return events.reverse()
  }

  /** Whether nothing more has to come. */
  reachesEnd(state: State): boolean {
    const { open } = this
    open[0] = state
    for (let size = 1; size > 0; ) {
      const { edges } = open[--size]!
      for (let i = 0; i < edges.length; i++) {
        const { action, target, guard } = edges[i]!
        if (action !== "proceed" || !guard(this)) continue
        if (target.kind === "final") return true
        open[size++] = target
      }
    }
    return false
  }
}
