import type { Automaton, Edge, State, Tests } from "./automaton.ts"
import type { OpenMatch } from "./open.ts"
import type { Pattern, Taken } from "./spec.ts"

/** An event as patterns see it: in the order in which the events of its key are processed. */
export interface Seen {
  readonly number: number
  readonly timestamp: number
  readonly record: object
}

/** What a partial match has taken last, and before that. What matches have in common they share. */
export interface Link {
  readonly before: Link | undefined
  readonly step: string
  readonly event: Seen
}

/** The way of a match so far: where it is, and what it has taken. The one that has taken nothing is in each key, and not kept. */
export interface Partial {
  readonly state: State
  readonly last: Link
  readonly first: Seen
}

/** Events by the steps that took them, in the order of their first one. */
export type Match = Readonly<Record<string, readonly object[]>>

export interface Output {
  /** At `timestamp`, the one that completed or revealed it. */
  readonly match: (match: Match, timestamp: number) => void
  /** A partial match whose time is over. */
  readonly timeout: (partial: Match, timestamp: number) => void
  /** So many partial matches were given up, since there were too many at a time. */
  readonly overflow: (count: number) => void
}

/** What is known of one pattern in one key. */
export class Matches {
  partials: readonly Partial[] = []
  /** Complete, and held back: one that began earlier is still under way. */
  held: readonly Partial[] = []
  /** When the first partial match is over, if nothing comes; not known of what was just restored. */
  due = Number.NEGATIVE_INFINITY
  /** Whether they are not what is kept of them. */
  changed = true

  get isEmpty(): boolean {
    return this.partials.length === 0 && this.held.length === 0
  }

  /** Adds the numbers of the events that they are made of. */
  addEvents(numbers: Set<number>): void {
    const seen = new Set<Link>()
    for (const matches of [this.partials, this.held])
      for (const { last } of matches)
        for (let link: Link | undefined = last; link !== undefined && !seen.has(link); link = link.before) {
          seen.add(link)
          numbers.add(link.event.number)
        }
  }
}

/** Asks each test of an event once, whoever wants to know. */
export class Answers {
  private readonly tests: Tests
  private known: Int8Array
  private event: object | undefined

  constructor(tests: Tests) {
    this.tests = tests
    this.known = new Int8Array(tests.all.length)
  }

  about(event: object): void {
    this.event = event
    if (this.known.length < this.tests.all.length) this.known = new Int8Array(this.tests.all.length)
    else this.known.fill(0)
  }

  holds(test: number): boolean {
    const answer = this.known[test]
    if (answer !== 0) return answer === 1
    const holds = this.tests.all[test]!(this.event!)
    this.known[test] = holds ? 1 : -1
    return holds
  }
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
  private readonly answers: Answers
  private readonly way = new Way()
  /** What one event makes of the partial matches. */
  private next: Partial[] = []
  private found: Partial[] = []

  /** `maxPartials`: how many partial matches, and complete ones held back, a key may have. */
  constructor(pattern: Pattern, automaton: Automaton, answers: Answers, maxPartials = Number.POSITIVE_INFINITY) {
    this.pattern = pattern
    this.automaton = automaton
    this.answers = answers
    this.maxPartials = maxPartials
    const { withinMs } = pattern
    this.withinMs = withinMs !== undefined && withinMs > 0 ? withinMs : Number.POSITIVE_INFINITY
  }

  /** One event, which `answers` is about. Time has been advanced to its own before. */
  process(matches: Matches, event: Seen, output: Output): void {
    this.next = []
    this.found = []
    for (const partial of matches.partials) this.step(partial.state, partial, event)
    this.step(this.automaton.start, undefined, event)
    const { next, found } = this
    if (found.length === 0 && areSame(next, matches.partials)) return
    this.replace(matches, next)
    this.complete(matches, event.timestamp, output)
    this.limit(matches, event.timestamp, output)
    matches.due = this.dueOf(matches)
  }

  /** Time goes on to `time`: what is over by then is out. */
  advance(matches: Matches, time: number, output: Output): void {
    if (time < matches.due) return
    const over = matches.partials.filter(partial => this.isOver(partial, time))
    if (over.length > 0)
      this.replace(
        matches,
        matches.partials.filter(partial => !this.isOver(partial, time))
      )
    this.found = over.filter(({ state }) => state.kind === "pending")
    this.complete(matches, time, output)
    matches.due = this.dueOf(matches)
    for (const partial of over)
      if (partial.state.kind !== "pending") output.timeout(this.eventsOf(partial), this.endOf(partial))
  }

  /** What is under way, and what is held back, for people. */
  open({ partials, held }: Matches): readonly Omit<OpenMatch, "pattern">[] {
    const shown = (waits: boolean) => (partial: Partial) => ({
      waitsFor: waits ? awaited(partial.state) : [],
      until: this.endOf(partial),
      path: linksOf(partial).map(({ step, event }) => ({ step, at: event.timestamp, event: event.record }))
    })
    return [...partials.map(shown(true)), ...held.map(shown(false))]
  }

  private dueOf({ partials }: Matches): number {
    let first = Number.POSITIVE_INFINITY
    for (const partial of partials) first = Math.min(first, this.endOf(partial))
    return first
  }

  private replace(matches: Matches, partials: readonly Partial[]): void {
    matches.partials = partials
    matches.changed = true
  }

  /** Gives up what began earliest where there are too many: what waited for that is free then. */
  private limit(matches: Matches, timestamp: number, output: Output): void {
    const over = matches.partials.length + matches.held.length - this.maxPartials
    if (over <= 0) return
    const given = Math.min(over, matches.partials.length)
    this.replace(matches, matches.partials.slice(given))
    output.overflow(given)
    this.found = []
    this.complete(matches, timestamp, output)
  }

  /** At the end of time what has no end has none. */
  private isOver(partial: Partial, time: number): boolean {
    const end = this.endOf(partial)
    return end <= time && end < Number.POSITIVE_INFINITY
  }

  private endOf({ state, first, last }: Partial): number {
    return Math.min(first.timestamp + this.withinMs, last.event.timestamp + state.gapMs)
  }

  /** Where an event leads from a state. `partial`: undefined where nothing has been taken yet. */
  private step(state: State, partial: Partial | undefined, event: Seen): void {
    const { way, answers } = this
    way.at(partial?.last, event, answers)
    const edges = way.edges(state)
    const results: Partial[] = []
    let stopped = false
    for (const { edge, from } of edges) {
      if (edge.action === "ignore" && partial === undefined) continue
      const result =
        edge.action === "ignore" ? ignored(partial!, edge.target) : taken(partial, edge.target, from, event)
      if (edge.target.kind === "final") this.found.push(result)
      else if (edge.target.kind === "stop") stopped = true
      else {
        results.push(result)
        if (edge.action === "take" && way.reachesEnd(edge.target)) this.found.push(result)
      }
    }
    if (!stopped) this.next.push(...results)
  }

  // ── complete matches, and which of them go ─────────────────────────────────────────────────────────────────────

  /** Gives out what is complete, the earliest first, and drops what the skip strategy says. */
  private complete(matches: Matches, timestamp: number, output: Output): void {
    if (this.found.length === 0 && matches.held.length === 0) return
    const { skip } = this.pattern
    matches.changed = true
    let waiting = [...matches.held, ...this.found].sort((a, b) => a.first.number - b.first.number)
    let { partials } = matches
    while (waiting.length > 0) {
      const match = waiting[0]!
      if (skip.kind !== "none" && partials.some(({ first }) => first.number < match.first.number)) break
      waiting = waiting.slice(1)
      const dropped = this.dropping(match)
      partials = partials.filter(one => !dropped(one))
      waiting = waiting.filter(one => !dropped(one))
      output.match(this.eventsOf(match), this.timeOf(match, timestamp))
    }
    matches.partials = partials
    matches.held = waiting
  }

  /** A match by absence is one when its time is over; any other when it is given out. */
  private timeOf(match: Partial, now: number): number {
    if (match.state.kind === "pending") return this.endOf(match)
    return now === Number.POSITIVE_INFINITY ? match.last.event.timestamp : now
  }

  /** Which others a match takes with it, when it is given out. */
  private dropping(match: Partial): (other: Partial) => boolean {
    const { skip } = this.pattern
    switch (skip.kind) {
      case "none":
        return () => false
      case "toNext":
        return ({ first }) => first.number <= match.first.number
      case "pastLast":
        return ({ first }) => first.number <= match.last.event.number
      default: {
        const at = this.numbersOf(match, skip.step).at(skip.kind === "toFirst" ? 0 : -1)
        return ({ first }) => at !== undefined && first.number < at
      }
    }
  }

  private numbersOf({ last }: Partial, step: string): readonly number[] {
    const numbers: number[] = []
    for (let link: Link | undefined = last; link !== undefined; link = link.before)
      if (link.step === step) numbers.push(link.event.number)
    return numbers.reverse()
  }

  private eventsOf(partial: Partial): Match {
    const match: Record<string, object[]> = {}
    for (const { step, event } of linksOf(partial)) (match[step] ??= []).push(event.record)
    return match
  }
}

/** What a partial match has taken, in that order. */
const linksOf = ({ last }: Partial): readonly Link[] => {
  const links: Link[] = []
  for (let link: Link | undefined = last; link !== undefined; link = link.before) links.push(link)
  return links.reverse()
}

/** The steps that may take an event from a state, whatever the conditions on the way. */
const awaited = (state: State): readonly string[] => {
  const [seen, steps] = [new Set([state]), new Set<string>()]
  for (const at of seen)
    for (const { action, target } of at.edges) {
      if (action === "take" && target.kind !== "stop") steps.add(at.step)
      if (action === "proceed") seen.add(target)
    }
  return [...steps]
}

const ignored = (partial: Partial, state: State): Partial =>
  partial.state === state ? partial : { state, last: partial.last, first: partial.first }

const taken = (partial: Partial | undefined, state: State, { step }: State, event: Seen): Partial => ({
  state,
  last: { before: partial?.last, step, event },
  first: partial?.first ?? event
})

const areSame = (a: readonly Partial[], b: readonly Partial[]): boolean =>
  a.length === b.length && a.every((one, i) => one === b[i])

/** The conditions of one partial match and event, and where they lead. One object for all. */
class Way implements Taken {
  event: object = {}
  readonly taken = this
  gapMs = 0
  private last: Link | undefined
  private answers!: Answers

  at(last: Link | undefined, event: Seen, answers: Answers): void {
    this.last = last
    this.event = event.record
    this.answers = answers
    this.gapMs = last === undefined ? 0 : event.timestamp - last.event.timestamp
  }

  holds(test: number): boolean {
    return this.answers.holds(test)
  }

  of(step: string): readonly object[] {
    const events: object[] = []
    for (let link = this.last; link !== undefined; link = link.before)
      if (link.step === step) events.push(link.event.record)
    return events.reverse()
  }

  /** The edges that take or ignore the event, from a state and from all that it goes on to without one. */
  edges(state: State): readonly { readonly edge: Edge; readonly from: State }[] {
    const found: { readonly edge: Edge; readonly from: State }[] = []
    const open = [state]
    for (let from = open.pop(); from !== undefined; from = open.pop())
      for (const edge of from.edges) {
        if (!edge.guard(this)) continue
        if (edge.action === "proceed") open.push(edge.target)
        else found.push({ edge, from })
      }
    return found
  }

  /** Whether nothing more has to come. */
  reachesEnd(state: State): boolean {
    const open = [state]
    for (let from = open.pop(); from !== undefined; from = open.pop())
      for (const edge of from.edges) {
        if (edge.action !== "proceed" || !edge.guard(this)) continue
        if (edge.target.kind === "final") return true
        open.push(edge.target)
      }
    return false
  }
}
