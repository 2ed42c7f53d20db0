import { type Action, both, type Guard, not, type State, type StateKind } from "./automaton.ts"
import { PatternError } from "./error.ts"

/** Events that are counted have a state each: of very many there is no end to making them. */
const MOST_STATES = 100_000

/** The states of an automaton while it is made, and the edges between them. */
export class States {
  readonly all: State[] = []

  add(kind: StateKind, step: string, name: number = this.all.length, gapMs: number = Number.POSITIVE_INFINITY): State {
    if (this.all.length === MOST_STATES)
      throw new PatternError(`"${step}" comes to more than ${MOST_STATES} states: count to less, or make it a loop`)
    const state = { number: this.all.length, name, kind, step, edges: [], gapMs }
    this.all.push(state)
    return state
  }

  copy(state: State): State {
    const copy = this.add(state.kind, state.step, state.name, state.gapMs)
    for (const { action, target, guard } of state.edges)
      this.edge(copy, action, target === state ? copy : target, guard)
    return copy
  }

  edge(state: State, action: Action, target: State, guard: Guard): void {
    state.edges.push({ action, target, guard })
  }

  /** A copy that is not stopped any more by what these steps say may not come. */
  without(state: State, nots: readonly string[], made = new Map<State, State>()): State {
    const known = made.get(state)
    if (known !== undefined) return known
    const copy = this.add(state.kind, state.step, state.name, state.gapMs)
    made.set(state, copy)
    for (const { action, target, guard } of state.edges) {
      if (action !== "proceed") this.edge(copy, action, target === state ? copy : target, guard)
      else if (target.kind !== "stop") this.edge(copy, action, this.without(target, nots, made), guard)
      else if (!nots.includes(target.step)) this.edge(copy, action, target, guard)
    }
    return copy
  }
}

/** Leaves by its edges only events that do not fit `take`. */
export const guardBy = (state: State, take: Guard): void => {
  for (const edge of state.edges) edge.guard = both(edge.guard, not(take))
}

/** Who can go on without the step's event is not over when it is too late for that. */
export const hasWayAround = ({ edges }: State): boolean =>
  edges.some(({ action, target }) => action === "proceed" && target.kind !== "stop")
