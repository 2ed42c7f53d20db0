import type { Answers } from "./answers.ts"
import { type Automaton, awaited, type State } from "./automaton.ts"
import { type Matches, NONE, Partial, type Seen } from "./matches.ts"
import type { OpenMatch } from "./open.ts"
import { type Path, pathOf } from "./path.ts"
import type { Pattern } from "./spec.ts"
import { eventsOf, type Match, numbersOf, takenBy } from "./taken.ts"
import { Way } from "./way.ts"

export interface Output {
  /** At `timestamp`, the one that completed or revealed it. */
  readonly match: (match: Match, timestamp: number, path: Path) => void
  /** A partial match whose time is over. */
  readonly timeout: (partial: Match, timestamp: number) => void
  /** So many partial matches were given up, since there were too many at a time. */
  readonly overflow: (count: number) => void
}

/**
 * Takes the events of a key through the automaton of a pattern, by Flink's rules. Of matches that began with the same event
 * those come first that took the way that was there first: into a step before around it, on before out of a loop.
 */
export class Matcher {
  readonly pattern: Pattern
  readonly automaton: Automaton
  /** How long a match may take, in ms. */
  private readonly withinMs: number
  private readonly maxPartials: number
  private readonly way: Way
  /** By the number of a state that of its step. */
  private readonly steps: readonly number[]
  /** What one event makes of the partial matches, once that is something else: until then the first `same` of them stay. */
  private next: Partial[] | undefined
  private before: readonly Partial[] = []
  private same = 0
  private found: Partial[] = []
  /** Scratch: states to go on from without an event, and what comes of one partial match. */
  private readonly states: State[] = []
  private readonly results: Partial[] = []
  private lone: Partial[] = []
  private spare: Partial[] | undefined

  /** `maxPartials`: how many partial matches, and complete ones held back, a key may have. */
  constructor(pattern: Pattern, automaton: Automaton, answers: Answers, maxPartials = Number.POSITIVE_INFINITY) {
    this.pattern = pattern
    this.automaton = automaton
    this.maxPartials = maxPartials
    this.way = new Way(automaton, answers)
    this.steps = automaton.states.map(({ step }) => automaton.stepNumbers.get(step)!)
    const { withinMs } = pattern
    this.withinMs = withinMs !== undefined && withinMs > 0 ? withinMs : Number.POSITIVE_INFINITY
  }

  /** One event, which the answers are about. Time has been advanced to its own before. */
  process(matches: Matches, event: Seen, output: Output): void {
    const partials = matches.isLone ? this.loneOf(matches) : matches.partials
    const { states, start } = this.automaton
    this.next = undefined
    this.before = partials
    this.same = 0
    this.found = NOTHING
    for (let i = 0; i < partials.length; i++) this.step(states[partials[i]!.state]!, partials[i], event)
    this.step(start, undefined, event)
    const isSame = this.next === undefined && this.same === partials.length
    if (isSame && this.found.length === 0) return
    if (this.begunAlone(matches, event)) return
    this.lone = []
    matches.join()
    if (!isSame) this.replace(matches, this.next ?? (this.same === 0 ? NONE : partials.slice(0, this.same)))
    this.complete(matches, event.timestamp, output)
    this.limit(matches, event.timestamp, output)
    matches.due = this.dueOf(matches)
    matches.settleAlone()
  }

  /** The lone one as an object, which is the same each time unless something has kept it. */
  private loneOf(matches: Matches): readonly Partial[] {
    if (this.lone.length === 0) this.lone[0] = matches.alone()
    else matches.showAlone(this.lone[0]!)
    return this.lone
  }

  /** Where one or none was under way, and what an event made of it is that the match begins with this one: the case that costs least. */
  private begunAlone(matches: Matches, event: Seen): boolean {
    const { next, found } = this
    if (next?.length !== 1 || found.length > 0) return false
    if (matches.partials.length > 0 || matches.held.length > 0) return false
    const begun = next[0]!
    if (begun.event !== event || begun.before !== undefined) return false
    matches.keepAlone(begun)
    matches.changed = true
    matches.due = this.endOf(begun)
    next.length = 0
    this.spare = next
    return true
  }

  /** Time goes on to `time`: what is over by then is out. */
  advance(matches: Matches, time: number, output: Output): void {
    if (time < matches.due) return
    matches.join()
    const over: Partial[] = []
    const left: Partial[] = []
    this.found = NOTHING
    for (const partial of matches.partials) {
      if (!this.isOver(partial, time)) left.push(partial)
      else if (this.isPending(partial.state)) this.completed(partial)
      else over.push(partial)
    }
    if (left.length < matches.partials.length) this.replace(matches, left.length === 0 ? NONE : left)
    this.complete(matches, time, output)
    matches.due = this.dueOf(matches)
    matches.settleAlone()
    for (const partial of over) output.timeout(eventsOf(partial, this.automaton), this.endOf(partial))
  }

  /** What is under way, and what is held back, for people. */
  open(matches: Matches, turn: number): readonly Omit<OpenMatch, "pattern">[] {
    const { states } = this.automaton
    const { held } = matches
    const partials = matches.isLone ? [matches.alone()] : matches.partials
    const shown = (waits: boolean) => (partial: Partial) => ({
      waitsFor: waits ? awaited(states[partial.state]!) : [],
      until: this.endOf(partial),
      path: takenBy(partial, this.automaton),
      ignored: turn === 0 ? undefined : turn - partial.event.turn
    })
    return [...partials.map(shown(true)), ...held.map(shown(false))]
  }

  private dueOf({ partials }: Matches): number {
    let first = Number.POSITIVE_INFINITY
    for (let i = 0; i < partials.length; i++) first = Math.min(first, this.endOf(partials[i]!))
    return first
  }

  private replace(matches: Matches, partials: readonly Partial[]): void {
    matches.partials = partials
    matches.changed = true
  }

  /** Gives up what began earliest where there are too many: what waited for that is free then. */
  private limit(matches: Matches, timestamp: number, output: Output): void {
    const over = matches.size - this.maxPartials
    if (over <= 0) return
    const given = Math.min(over, matches.partials.length)
    this.replace(matches, matches.partials.slice(given))
    output.overflow(given)
    this.found = NOTHING
    this.complete(matches, timestamp, output)
  }

  /** At the end of time what has no end has none. */
  private isOver(partial: Partial, time: number): boolean {
    const end = this.endOf(partial)
    return end <= time && end < Number.POSITIVE_INFINITY
  }

  private endOf({ state, first, event }: Partial): number {
    const end = first.timestamp + this.withinMs
    const { gapMs } = this.automaton.states[state]!
    return gapMs === Number.POSITIVE_INFINITY ? end : Math.min(end, event.timestamp + gapMs)
  }

  private isPending(state: number): boolean {
    return this.automaton.states[state]!.kind === "pending"
  }

  // ── one partial match and one event ────────────────────────────────────────────────────────────────────────────

  /**
   * Where an event leads from a state, and from all that this goes on to without one. `partial`: undefined where nothing has
   * been taken yet.
   */
  private step(state: State, partial: Partial | undefined, event: Seen): void {
    const { way, states, results } = this
    way.at(partial, event)
    let count = 0
    let stopped = false
    states[0] = state
    for (let size = 1; size > 0; ) {
      const from = states[--size]!
      const { edges } = from
      for (let i = 0; i < edges.length; i++) {
        const { action, target, guard } = edges[i]!
        if (!guard(way)) continue
        if (action === "proceed") states[size++] = target
        else if (target.kind === "stop") stopped = true
        else if (action === "take") {
          const result = this.taken(partial, from, target, event)
          if (target.kind !== "final") results[count++] = result
          if (target.kind === "final" || way.reachesEnd(target)) this.completed(result)
        } else if (partial !== undefined) {
          const result = partial.state === target.number ? partial : ignored(partial, target)
          if (target.kind !== "final") results[count++] = result
          else this.completed(result)
        }
      }
    }
    if (!stopped) for (let i = 0; i < count; i++) this.add(results[i]!)
  }

  private taken(partial: Partial | undefined, from: State, target: State, event: Seen): Partial {
    return new Partial(target.number, this.steps[from.number]!, event, partial, partial?.first ?? event)
  }

  private add(result: Partial): void {
    const { before, same } = this
    if (this.next === undefined) {
      if (result === before[same]) {
        this.same++
        return
      }
      this.next = same === 0 ? this.empty() : before.slice(0, same)
    }
    this.next.push(result)
  }

  private empty(): Partial[] {
    const spare = this.spare ?? []
    this.spare = undefined
    return spare
  }

  private completed(result: Partial): void {
    if (this.found === NOTHING) this.found = [result]
    else this.found.push(result)
  }

  // ── complete matches, and which of them go ─────────────────────────────────────────────────────────────────────

  /** Gives out what is complete, the earliest first, and drops what the skip strategy says. */
  private complete(matches: Matches, timestamp: number, output: Output): void {
    const { found } = this
    if (found.length === 0 && matches.held.length === 0) return
    const waits = this.pattern.skip.kind !== "none"
    matches.changed = true
    let waiting = matches.held.length === 0 ? found : matches.held.concat(found)
    if (waiting.length > 1) waiting = waiting.toSorted((a, b) => a.first.number - b.first.number)
    let { partials } = matches
    let given = 0
    while (given < waiting.length) {
      const match = waiting[given]!
      if (waits && partials.some(({ first }) => first.number < match.first.number)) break
      given++
      if (waits) {
        const from = this.keepFrom(match)
        partials = partials.filter(({ first }) => first.number >= from)
        waiting = waiting.slice(given).filter(({ first }) => first.number >= from)
        given = 0
      }
      output.match(eventsOf(match, this.automaton), this.timeOf(match, timestamp), () =>
        pathOf(this.pattern.steps, takenBy(match, this.automaton))
      )
    }
    matches.partials = partials
    matches.held = given === waiting.length ? NOTHING : waiting.slice(given)
  }

  /** A match by absence is one when its time is over; any other when it is given out. */
  private timeOf(match: Partial, now: number): number {
    if (this.isPending(match.state)) return this.endOf(match)
    return now === Number.POSITIVE_INFINITY ? match.event.timestamp : now
  }

  /** A match that is given out takes those with it that began before the event of this number. */
  private keepFrom(match: Partial): number {
    const { skip } = this.pattern
    switch (skip.kind) {
      case "none":
        return Number.NEGATIVE_INFINITY
      case "toNext":
        return match.first.number + 1
      case "pastLast":
        return match.event.number + 1
      default:
        return (
          numbersOf(match, skip.step, this.automaton).at(skip.kind === "toFirst" ? 0 : -1) ?? Number.NEGATIVE_INFINITY
        )
    }
  }
}

/** Never written to. */
const NOTHING: Partial[] = []

const ignored = ({ step, event, before, first }: Partial, { number }: State): Partial =>
  new Partial(number, step, event, before, first)
