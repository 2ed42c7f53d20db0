/** An event as patterns see it. `number`: greater than those of the events of its key that were processed before. */
export class Seen {
  readonly number: number
  readonly timestamp: number
  readonly record: object
  /** Where it stands in what is being written, and in which one that is: the codec's own. */
  place = 0
  writing = 0

  constructor(number: number, timestamp: number, record: object) {
    this.number = number
    this.timestamp = timestamp
    this.record = record
  }
}

/** What a partial match has taken last, and before that. What matches have in common they share. */
export class Link {
  readonly before: Link | undefined
  /** The step's number in the automaton. */
  readonly step: number
  readonly event: Seen
  /** As in Seen. */
  place = 0
  writing = 0

  constructor(before: Link | undefined, step: number, event: Seen) {
    this.before = before
    this.step = step
    this.event = event
  }
}

/** The way of a match so far: where it is, and what it has taken. The one that has taken nothing is in each key, and not kept. */
export class Partial {
  /** The state's number in the automaton. */
  readonly state: number
  readonly last: Link
  readonly first: Seen

  constructor(state: number, last: Link, first: Seen) {
    this.state = state
    this.last = last
    this.first = first
  }
}

const NONE: readonly Partial[] = []

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
