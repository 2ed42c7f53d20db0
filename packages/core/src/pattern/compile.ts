import { type Automaton, both, type Guard, not, type State, type Tests } from "./automaton.ts"
import { Guards } from "./guards.ts"
import { type Group, later, leadsAround, type Place } from "./place.ts"
import { isLoop, isOptional, type Pattern, type Step } from "./spec.ts"
import { guardBy, hasWayAround, States } from "./states.ts"

/**
 * Makes the automaton of a pattern that `checkPattern` has let pass, from its end: each step is given the state that follows
 * it. By the rules of Flink's CEP as test/vectors/cep/README has them in words, but for the time between two events: that
 * is checked before each event that has to come in time, also within loops.
 */
export const compilePattern = (pattern: Pattern, tests: Tests): Automaton => new Compiler(tests).compile(pattern)

class Compiler {
  private readonly tests: Tests
  private readonly guards: Guards
  private readonly states = new States()
  private readonly stops = new Map<string, State>()
  /** Copies of states that a greedy loop has guarded, from before that: by name. */
  private readonly unguarded = new Map<number, State>()

  constructor(tests: Tests) {
    this.tests = tests
    this.guards = new Guards(tests)
  }

  compile({ steps }: Pattern): Automaton {
    const start = this.sequence(steps, this.states.add("final", ""), undefined, undefined)
    start.kind = "start"
    for (const state of this.states.all) if (hasWayAround(state)) state.gapMs = Number.POSITIVE_INFINITY
    const names = [...new Set(this.states.all.map(({ step }) => step))]
    return { states: this.states.all, start, steps: names, stepNumbers: new Map(names.map((name, i) => [name, i])) }
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
      return this.one(place, sink, sink, this.guards.take(place), this.guards.ignore(place), isOptional(step))
    return this.chain(place, sink, sink, Math.max(1, step.times.from), step.times.to)
  }

  private notNext(place: Place, sink: State): State {
    const fits = this.guards.take(place)
    const state = this.states.add("normal", place.step.name)
    // Where the pattern ends with it, the next event, whatever it is, has to come.
    this.states.edge(state, sink.kind === "final" ? "ignore" : "proceed", sink, not(fits))
    this.states.edge(state, "proceed", this.stop(place), fits)
    return state
  }

  /** The pattern ends with what is not to come: it is matched when its time is over. */
  private absence(place: Place): State {
    const fits = this.guards.take(place)
    const state = this.states.add("pending", place.step.name, this.states.all.length, place.step.gapMs)
    this.states.edge(state, "proceed", this.stop(place), fits)
    this.states.edge(state, "ignore", state, not(fits))
    return state
  }

  /** Several in a row: the first one as its step follows, the others as its events follow each other. */
  private chain(place: Place, end: State, around: State, from: number, to: number): State {
    const { step } = place
    const more = later(place)
    const take = this.guards.unlessUntil(this.guards.take(more), step)
    const inner = this.guards.inner(more)
    const skip = inner && this.guards.unlessUntil(inner, step)
    if (step.greedy === true && from !== to) {
      if (step.until !== undefined) this.unguarded.set(end.name, this.states.copy(end))
      guardBy(end, take)
    }
    let sink = end
    for (let i = from; i < to; i++) sink = this.inChain(more, sink, around, take, skip, true)
    for (let i = 1; i < from; i++) sink = this.inChain(more, sink, around, take, skip, false)
    return this.one(place, sink, around, take, this.guards.ignore(place), isOptional(step))
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
    this.states.edge(state, "take", next, this.guards.inTime(take, place))
    if (optional) this.goAround(state, place, around)
    if (ignore === undefined) return state
    if (!optional && !leadsAround(place)) this.states.edge(state, "ignore", state, ignore)
    else this.states.edge(state, "ignore", this.waiting(place, next, take, ignore), ignore)
    return state
  }

  /** Has skipped an event on the way to an optional step: now there is no way around it any more. */
  private waiting(place: Place, next: State, take: Guard, ignore: Guard): State {
    const state = this.ofStep(place)
    this.states.edge(state, "take", next, this.guards.inTime(take, place))
    this.states.edge(state, "ignore", state, ignore)
    this.stopAtNots(state, place)
    return state
  }

  private goAround(state: State, place: Place, around: State): void {
    const { until, greedy } = place.step
    const free = this.guards.free(place)
    if (greedy !== true || until === undefined) return this.states.edge(state, "proceed", around, free)
    const ended = this.tests.guard(until)
    this.states.edge(state, "proceed", this.unguarded.get(around.name)!, both(free, ended))
    this.states.edge(state, "proceed", around, both(free, not(ended)))
  }

  private loop(place: Place, sink: State): State {
    if (place.step.group !== undefined) return this.rounds(place, place.step.group, sink)
    const take = this.guards.unlessUntil(this.guards.take(place), place.step)
    const inner = this.guards.inner(place)
    const state = this.ofStep(place)
    this.leave(state, place, sink)
    this.states.edge(state, "take", state, this.guards.inTime(take, place))
    this.stopBehind(state, place)
    if (inner === undefined) return state
    const skip = this.guards.unlessUntil(inner, place.step)
    const waiting = this.ofStep(place)
    this.states.edge(waiting, "take", state, this.guards.inTime(take, place))
    this.states.edge(waiting, "ignore", waiting, skip)
    this.states.edge(state, "ignore", waiting, skip)
    this.stopBehind(waiting, place)
    return state
  }

  /** The way out of a loop. A greedy one guards what follows: an event that fits the loop belongs to it. */
  private leave(state: State, place: Place, sink: State): void {
    const { greedy, until } = place.step
    const free = this.guards.free(place)
    if (greedy !== true) return this.states.edge(state, "proceed", sink, free)
    if (until === undefined) this.states.edge(state, "proceed", sink, free)
    else {
      const ended = this.tests.guard(until)
      const unguarded = this.states.copy(sink)
      this.unguarded.set(sink.name, unguarded)
      this.states.edge(state, "proceed", unguarded, both(free, ended))
      this.states.edge(state, "proceed", sink, both(free, not(ended)))
    }
    guardBy(sink, this.guards.take(place))
  }

  // ── groups ─────────────────────────────────────────────────────────────────────────────────────────────────────

  private round(place: Place, steps: readonly Step[], sink: State, around: State, optional: boolean): State {
    const first = this.sequence(steps, sink, place.behind, { step: place.step, firstRound: place.later !== true })
    if (optional) this.states.edge(first, "proceed", around, this.guards.free(place))
    return first
  }

  private rounds(place: Place, steps: readonly Step[], sink: State): State {
    const between = this.states.add("normal", place.step.name)
    const first = this.sequence(steps, between, place.behind, { step: place.step, firstRound: false })
    const free = this.guards.free(place)
    this.states.edge(first, "proceed", sink, free)
    this.states.edge(between, "proceed", first, free)
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
    this.states.edge(state, "proceed", this.stop(not), this.guards.take(not))
  }

  private stop(place: Place): State {
    const { name } = place.step
    const known = this.stops.get(name)
    if (known !== undefined) return known
    const state = this.states.add("stop", name)
    this.stops.set(name, state)
    this.states.edge(state, "take", state, this.guards.take(place))
    return state
  }

  /** Who has taken an optional step is beyond what was not to come before it. */
  private withoutNots(sink: State, place: Place): State {
    const nots = this.nots(place).map(({ name }) => name)
    return nots.length === 0 || !isOptional(place.step) ? sink : this.states.without(sink, nots)
  }

  private ofStep({ step }: Place): State {
    return this.states.add("normal", step.name, this.states.all.length, step.gapMs)
  }
}
