import {
  type Action,
  type Automaton,
  always,
  both,
  type Guard,
  not,
  type State,
  type StateKind,
  type Tests
} from "./automaton.ts"
import { isLoop, isOptional, type Pattern, type Step } from "./spec.ts"

/** A step where it stands: among its neighbours, and in its group. */
interface Place {
  readonly step: Step
  /** The steps before it, the nearest last. */
  readonly before: readonly Step[]
  /** The step behind it; of the last one in a group that behind the group. */
  readonly behind: Step | undefined
  readonly group: Group | undefined
  /** It stands for the events, or rounds, behind the first one. */
  readonly later?: boolean
}

interface Group {
  readonly step: Step
  /** Later rounds of a group follow as the events of one step do. */
  readonly firstRound: boolean
}

/**
 * Makes the automaton of a pattern that `checkPattern` has let pass, from its end: each step is given the state that follows
 * it. By the rules of Flink's CEP as test/vectors/cep/README has them in words, but for the time between two events: that
 * is checked before each event that has to come in time, also within loops.
 */
export const compilePattern = (pattern: Pattern, tests: Tests): Automaton => new Compiler(tests).compile(pattern)

class Compiler {
  private readonly tests: Tests
  private readonly states: State[] = []
  private readonly stops = new Map<string, State>()
  /** Copies of states that a greedy loop has guarded, from before that: by name. */
  private readonly unguarded = new Map<number, State>()

  constructor(tests: Tests) {
    this.tests = tests
  }

  compile({ steps }: Pattern): Automaton {
    const start = this.sequence(steps, this.state("final", ""), undefined, undefined)
    start.kind = "start"
    for (const state of this.states) if (hasWayAround(state)) state.gapMs = Number.POSITIVE_INFINITY
    const names = [...new Set(this.states.map(({ step }) => step))]
    return { states: this.states, start, steps: names, stepNumbers: new Map(names.map((name, i) => [name, i])) }
  }

  // ── steps, from the last to the first ──────────────────────────────────────────────────────────────────────────

  private sequence(steps: readonly Step[], end: State, behind: Step | undefined, group: Group | undefined): State {
    let sink = end
    for (let i = steps.length - 1; i >= 0; i--) {
      const place = { step: steps[i]!, before: steps.slice(0, i), behind: steps[i + 1] ?? behind, group }
      sink = this.convert(place, sink)
    }
    return sink
  }

  private convert(place: Place, sink: State): State {
    const { contiguity } = place.step
    if (contiguity === "notNext") return this.notNext(place, sink)
    if (contiguity === "notFollowedBy") return sink.kind === "final" ? this.absence(place) : sink
    const state = this.quantified(place, sink)
    this.stopAtNots(state, place)
    return state
  }

  private quantified(place: Place, sink: State): State {
    const { step } = place
    if (isLoop(step)) {
      const loop = this.loop(later(place), this.withoutNots(sink, place))
      return this.chain(place, loop, sink, step.times!.from, step.times!.from)
    }
    if (step.times === undefined)
      return this.one(place, sink, sink, this.take(place), this.ignore(place), isOptional(step))
    return this.chain(place, sink, sink, Math.max(1, step.times.from), step.times.to)
  }

  private notNext(place: Place, sink: State): State {
    const fits = this.take(place)
    const state = this.state("normal", place.step.name)
    // Where the pattern ends with it, the next event, whatever it is, has to come.
    this.edge(state, sink.kind === "final" ? "ignore" : "proceed", sink, not(fits))
    this.edge(state, "proceed", this.stop(place), fits)
    return state
  }

  /** The pattern ends with what is not to come: it is matched when its time is over. */
  private absence(place: Place): State {
    const fits = this.take(place)
    const state = this.state("pending", place.step.name, this.states.length, place.step.gapMs)
    this.edge(state, "proceed", this.stop(place), fits)
    this.edge(state, "ignore", state, not(fits))
    return state
  }

  /** Several in a row: the first one as its step follows, the others as its events follow each other. */
  private chain(place: Place, end: State, around: State, from: number, to: number): State {
    const { step } = place
    const more = later(place)
    const take = this.unlessUntil(this.take(more), step)
    const inner = this.inner(more)
    const skip = inner && this.unlessUntil(inner, step)
    if (step.greedy === true && from !== to) {
      if (step.until !== undefined) this.unguarded.set(end.name, this.copy(end))
      guardBy(end, take)
    }
    let sink = end
    for (let i = from; i < to; i++) sink = this.inChain(more, sink, around, take, skip, true)
    for (let i = 1; i < from; i++) sink = this.inChain(more, sink, around, take, skip, false)
    return this.one(place, sink, around, take, this.ignore(place), isOptional(step))
  }

  private inChain(
    place: Place,
    sink: State,
    around: State,
    take: Guard,
    skip: Guard | undefined,
    optional: boolean
  ): State {
    const state = this.one(place, sink, around, take, skip, optional)
    this.stopBehind(state, place)
    return state
  }

  /** One event, or one round of a group, on the way to `sink`; where it is optional, `around` is what follows without it. */
  private one(
    place: Place,
    sink: State,
    around: State,
    take: Guard,
    ignore: Guard | undefined,
    optional: boolean
  ): State {
    if (place.step.group !== undefined) return this.round(place, place.step.group, sink, around, optional)
    const state = this.ofStep(place)
    const next = this.withoutNots(sink, place)
    this.edge(state, "take", next, this.inTime(take, place))
    if (optional) this.goAround(state, place, around)
    if (ignore === undefined) return state
    if (!optional && !leadsAround(place)) this.edge(state, "ignore", state, ignore)
    else this.edge(state, "ignore", this.waiting(place, next, take, ignore), ignore)
    return state
  }

  /** Has skipped an event on the way to an optional step: now there is no way around it any more. */
  private waiting(place: Place, next: State, take: Guard, ignore: Guard): State {
    const state = this.ofStep(place)
    this.edge(state, "take", next, this.inTime(take, place))
    this.edge(state, "ignore", state, ignore)
    this.stopAtNots(state, place)
    return state
  }

  private goAround(state: State, place: Place, around: State): void {
    const { until, greedy } = place.step
    const free = this.free(place)
    if (greedy !== true || until === undefined) return this.edge(state, "proceed", around, free)
    const ended = this.tests.guard(until)
    this.edge(state, "proceed", this.unguarded.get(around.name)!, both(free, ended))
    this.edge(state, "proceed", around, both(free, not(ended)))
  }

  private loop(place: Place, sink: State): State {
    if (place.step.group !== undefined) return this.rounds(place, place.step.group, sink)
    const take = this.unlessUntil(this.take(place), place.step)
    const inner = this.inner(place)
    const state = this.ofStep(place)
    this.leave(state, place, sink)
    this.edge(state, "take", state, this.inTime(take, place))
    this.stopBehind(state, place)
    if (inner === undefined) return state
    const skip = this.unlessUntil(inner, place.step)
    const waiting = this.ofStep(place)
    this.edge(waiting, "take", state, this.inTime(take, place))
    this.edge(waiting, "ignore", waiting, skip)
    this.edge(state, "ignore", waiting, skip)
    this.stopBehind(waiting, place)
    return state
  }

  /** The way out of a loop. A greedy one guards what follows: an event that fits the loop belongs to it. */
  private leave(state: State, place: Place, sink: State): void {
    const { greedy, until } = place.step
    const free = this.free(place)
    if (greedy !== true) return this.edge(state, "proceed", sink, free)
    if (until === undefined) this.edge(state, "proceed", sink, free)
    else {
      const ended = this.tests.guard(until)
      const unguarded = this.copy(sink)
      this.unguarded.set(sink.name, unguarded)
      this.edge(state, "proceed", unguarded, both(free, ended))
      this.edge(state, "proceed", sink, both(free, not(ended)))
    }
    guardBy(sink, this.take(place))
  }

  // ── groups ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private round(place: Place, steps: readonly Step[], sink: State, around: State, optional: boolean): State {
    const first = this.sequence(steps, sink, place.behind, { step: place.step, firstRound: place.later !== true })
    if (optional) this.edge(first, "proceed", around, this.free(place))
    return first
  }

  private rounds(place: Place, steps: readonly Step[], sink: State): State {
    const between = this.state("normal", place.step.name)
    const first = this.sequence(steps, between, place.behind, { step: place.step, firstRound: false })
    const free = this.free(place)
    this.edge(first, "proceed", sink, free)
    this.edge(between, "proceed", first, free)
    return first
  }

  // ── what is not to come ────────────────────────────────────────────────────────────────────────────────────────

  /** The steps that may not come before this one's event, from the nearest on. */
  private nots(place: Place): readonly Step[] {
    const found: Step[] = []
    for (const step of place.before.toReversed()) {
      if (step.contiguity === "notFollowedBy") found.push(step)
      else if (!isOptional(step)) break
    }
    return found
  }

  private stopAtNots(state: State, place: Place): void {
    for (const step of this.nots(place)) this.stopAt(state, { ...place, step })
  }

  /** What is not to follow a step ends it also while it goes on. */
  private stopBehind(state: State, place: Place): void {
    if (place.behind?.contiguity === "notFollowedBy") this.stopAt(state, { ...place, step: place.behind })
  }

  private stopAt(state: State, not: Place): void {
    this.edge(state, "proceed", this.stop(not), this.take(not))
  }

  private stop(place: Place): State {
    const { name } = place.step
    const known = this.stops.get(name)
    if (known !== undefined) return known
    const state = this.state("stop", name)
    this.stops.set(name, state)
    this.edge(state, "take", state, this.take(place))
    return state
  }

  /** Who has taken an optional step is beyond what was not to come before it. */
  private withoutNots(sink: State, place: Place): State {
    const nots = this.nots(place).map(({ name }) => name)
    return nots.length === 0 || !isOptional(place.step) ? sink : this.without(sink, nots)
  }

  private without(state: State, nots: readonly string[], made = new Map<State, State>()): State {
    const known = made.get(state)
    if (known !== undefined) return known
    const copy = this.state(state.kind, state.step, state.name, state.gapMs)
    made.set(state, copy)
    for (const { action, target, guard } of state.edges) {
      if (action !== "proceed") this.edge(copy, action, target === state ? copy : target, guard)
      else if (target.kind !== "stop") this.edge(copy, action, this.without(target, nots, made), guard)
      else if (!nots.includes(target.step)) this.edge(copy, action, target, guard)
    }
    return copy
  }

  // ── conditions ─────────────────────────────────────────────────────────────────────────────────────────────────

  private where(step: Step): Guard {
    return step.where === undefined ? always : this.tests.guard(step.where)
  }

  private take({ step, group }: Place): Guard {
    return this.unlessUntil(this.where(step), group?.step)
  }

  /** How an event that comes before the step's first one is skipped; undefined: not at all. */
  private ignore(place: Place): Guard | undefined {
    const { step, group } = place
    if (!isHead(place)) return this.skip(place, contiguityOf(step))
    return this.skip(place, group!.firstRound ? contiguityOf(group!.step) : innerOf(group!.step))
  }

  /** The same between the events of one step. */
  private inner(place: Place): Guard | undefined {
    return this.skip(place, innerOf(isHead(place) ? place.group!.step : place.step))
  }

  private skip({ step, group }: Place, how: "strict" | "relaxed" | "any"): Guard | undefined {
    if (how === "strict") return undefined
    return this.unlessUntil(how === "any" ? always : not(this.where(step)), group?.step)
  }

  /** What holds on the way around, unless the group has ended. */
  private free({ group }: Place): Guard {
    return this.unlessUntil(always, group?.step)
  }

  private unlessUntil(guard: Guard, step: Step | undefined): Guard {
    return step?.until === undefined ? guard : both(not(this.tests.guard(step.until)), guard)
  }

  private inTime(guard: Guard, { step }: Place): Guard {
    const { gapMs } = step
    return gapMs === undefined ? guard : both(asking => asking.gapMs < gapMs, guard)
  }

  // ── states and edges ───────────────────────────────────────────────────────────────────────────────────────────

  private ofStep({ step }: Place): State {
    return this.state("normal", step.name, this.states.length, step.gapMs)
  }

  private state(
    kind: StateKind,
    step: string,
    name: number = this.states.length,
    gapMs: number = Number.POSITIVE_INFINITY
  ): State {
    const state = { number: this.states.length, name, kind, step, edges: [], gapMs }
    this.states.push(state)
    return state
  }

  private copy(state: State): State {
    const copy = this.state(state.kind, state.step, state.name, state.gapMs)
    for (const { action, target, guard } of state.edges)
      this.edge(copy, action, target === state ? copy : target, guard)
    return copy
  }

  private edge(state: State, action: Action, target: State, guard: Guard): void {
    state.edges.push({ action, target, guard })
  }
}

/** Who can go on without the step's event is not over when it is too late for that. */
const hasWayAround = ({ edges }: State): boolean =>
  edges.some(({ action, target }) => action === "proceed" && target.kind !== "stop")

/** The first step of a group follows as its group does. */
const isHead = ({ group, before }: Place): boolean => group !== undefined && before.length === 0

/** Its group has a way around itself, from its first event on. */
const leadsAround = (place: Place): boolean => isHead(place) && place.group!.firstRound && isOptional(place.group!.step)

const later = (place: Place): Place => ({ ...place, later: true })

const contiguityOf = ({ contiguity }: Step): "strict" | "relaxed" | "any" => {
  if (contiguity === undefined || contiguity === "next") return "strict"
  return contiguity === "followedByAny" ? "any" : "relaxed"
}

const innerOf = ({ inner }: Step): "strict" | "relaxed" | "any" => {
  if (inner === "consecutive") return "strict"
  return inner === "combinations" ? "any" : "relaxed"
}

const guardBy = (state: State, take: Guard): void => {
  for (const edge of state.edges) edge.guard = both(edge.guard, not(take))
}
