/** An event as patterns see it. `number`: greater than those of the events of its key that were processed before. */
export class Seen {
  number: number
  timestamp: number
  record: object
  /** Which of the events of its key it is, from 1 on, since something is under way there; 0 where nobody counts them. */
  turn: number
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
  step: number
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
const NOWHERE = -1

/** What a partial match has taken, in that order. */
export const waysOf = (partial: Partial): readonly Partial[] => {
  const ways: Partial[] = []
  for (let one: Partial | undefined = partial; one !== undefined; one = one.before) ways.push(one)
  return ways.length === 1 ? ways : ways.reverse()
}

/**
 * What is known of one pattern in one key: states and steps by number, so that they are those of any automaton of its version. Most
 * keys have one partial match that has taken one event: then that stands here itself, as the lone one, without objects of its own.
 */
export class Matches {
  partials: readonly Partial[] = NONE
  /** Complete, and held back: one that began earlier is still under way. */
  held: readonly Partial[] = NONE
  /** When the first partial match is over, if nothing comes; not known of what was just restored. */
  due = Number.NEGATIVE_INFINITY
  /** Whether they are not what is kept of them. */
  changed = false
  /** The state of the lone one; NOWHERE: there is none. Then the rest, as in Partial and Seen, is of no matter. */
  state = NOWHERE
  step = 0
  number = 0
  timestamp = 0
  record: object | undefined = undefined
  turn = 0

  get isLone(): boolean {
    return this.state !== NOWHERE
  }

  get isEmpty(): boolean {
    return this.state === NOWHERE && this.partials.length === 0 && this.held.length === 0
  }

  /** How many partial matches, and complete ones held back. */
  get size(): number {
    return this.partials.length + this.held.length + (this.state === NOWHERE ? 0 : 1)
  }

  /** This one and no other. Only one that has taken one event. */
  keepAlone({ state, step, event }: Partial): void {
    this.partials = NONE
    this.state = state
    this.step = step
    this.number = event.number
    this.timestamp = event.timestamp
    this.record = event.record
    this.turn = event.turn
  }

  /** Where there is but one that has taken one event, it stands here itself. */
  settleAlone(): void {
    const { partials, held } = this
    if (partials.length === 1 && held.length === 0 && partials[0]!.before === undefined) this.keepAlone(partials[0]!)
  }

  /** The lone one as an object; only while there is one. */
  alone(): Partial {
    const event = new Seen(this.number, this.timestamp, this.record!, this.turn)
    return new Partial(this.state, this.step, event, undefined, event)
  }

  /** The same in an object that `alone` made before. */
  showAlone(partial: Partial): void {
    const { event } = partial
    partial.state = this.state
    partial.step = this.step
    event.number = this.number
    event.timestamp = this.timestamp
    event.record = this.record!
    event.turn = this.turn
  }

  /** The lone one stands among the others. */
  join(): void {
    if (this.state === NOWHERE) return
    this.partials = [this.alone()]
    this.state = NOWHERE
    this.record = undefined
  }

  /** Takes all that another one has, and leaves nothing there. */
  takeOver(from: Matches): void {
    this.partials = from.partials
    this.held = from.held
    this.due = from.due
    this.changed = from.changed
    this.state = from.state
    this.step = from.step
    this.number = from.number
    this.timestamp = from.timestamp
    this.record = from.record
    this.turn = from.turn
    from.partials = NONE
    from.held = NONE
    from.state = NOWHERE
    from.record = undefined
  }
}
