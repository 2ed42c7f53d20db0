/** An event as patterns see it. `number`: greater than those of the events of its key that were processed before. */
export class Seen {
  readonly number: number
  readonly timestamp: number
  readonly record: object
  /** Which of the events of its key it is, from 1 on, since something is under way there; 0 where nobody counts them. */
  readonly turn: number
  /** Where it stands in what is being written, and in which one that is: the codec's own. */
  place = 0
  writing = 0

  constructor(number: number, timestamp: number, record: object, turn = 0) {
    this.number = number
    this.timestamp = timestamp
    this.record = record
    this.turn = turn
  }
}

/**
 * The way of a match so far: where it is, what it has taken last, and before that. What matches have in common they share. The one
 * that has taken nothing is in each key, and not kept.
 */
export class Partial {
  /** The state's number in the automaton; in what others only have `before` them it is of no matter, and not kept. */
  state: number
  /** The number of the step that took the event. */
  readonly step: number
  readonly event: Seen
  readonly before: Partial | undefined
  readonly first: Seen
  /** As in Seen. */
  place = 0
  writing = 0

  constructor(state: number, step: number, event: Seen, before: Partial | undefined, first: Seen) {
    this.state = state
    this.step = step
    this.event = event
    this.before = before
    this.first = first
  }
}

export const NONE: readonly Partial[] = []

/** What is known of one pattern in one key: states and steps by number, so that they are those of any automaton of its version. */
export class Matches {
  partials: readonly Partial[] = NONE
  /** Complete, and held back: one that began earlier is still under way. */
  held: readonly Partial[] = NONE
  /** When the first partial match is over, if nothing comes; not known of what was just restored. */
  due = Number.NEGATIVE_INFINITY
  /** Whether they are not what is kept of them. */
  changed = false

  get isEmpty(): boolean {
    return this.partials.length === 0 && this.held.length === 0
  }

  /** How many partial matches, and complete ones held back. */
  get size(): number {
    return this.partials.length + this.held.length
  }
}
