import type { StoredCodec, ValueCodec } from "../codec.ts"
import { type Key, type Keyed, readKey } from "../key.ts"
import { END_OF_TIME, type Input } from "../operator.ts"
import { Tests } from "../pattern/automaton.ts"
import { checkPattern } from "../pattern/check.ts"
import { compilePattern } from "../pattern/compile.ts"
import { Answers, type Link, type Match, Matcher, Matches, type Seen } from "../pattern/matching.ts"
import { Kept, keptCodec } from "../pattern/saved.ts"
import type { Pattern } from "../pattern/spec.ts"
import { type Cell, Cells } from "../state/cells.ts"
import { ValueReader, writeNumber } from "../state/number.ts"
import { EventTimeOperator, type EventTimeOptions, keyedPart, LateEvents } from "./eventTime.ts"
import { FIRST_STATE } from "./processLayout.ts"

export interface PatternMatchOptions extends EventTimeOptions {
  readonly key: Keyed
  readonly pattern: Pattern
  /** What the pattern is, as a person reads it: state of another one is refused. */
  readonly what: string
  /** How events are kept. */
  readonly codec: StoredCodec
  /** The order of events of one time; those that are alike by it, and all without it, stay in the order of their arrival. */
  readonly comparator?: ((a: never, b: never) => number) | undefined
  /** Makes a record of a match. Called once for each. */
  readonly select: (match: never, key: never) => object
  /** Where partial matches go whose time is over, as records that `selectTimeout` makes of them. */
  readonly timeouts?: Input | undefined
  readonly selectTimeout?: ((partial: never, key: never) => object) | undefined
  /** Where late events go; without it they are dropped and counted. */
  readonly late: Input | undefined
}

/** An event of a key. One that waits for its time has no number yet. */
interface Waiting {
  readonly timestamp: number
  readonly number: number
  readonly record: object
}

const UNNUMBERED = -1

/**
 * Finds a pattern in the events of each key, by Flink's rules: they wait until the watermark has reached their time and are then
 * taken in its order. An event at or before the watermark is late. Partial matches share their events, which go with the
 * last of them; one whose time is over goes as soon as the watermark says so, without a further event.
 */
export class PatternMatch extends EventTimeOperator implements Input {
  readonly late: LateEvents
  private readonly key: Keyed
  private readonly events: Cells<Waiting>
  private readonly kept: Cells<Kept>
  private readonly answers: Answers
  private readonly matcher: Matcher
  private readonly comparator: ((a: object, b: object) => number) | undefined
  private readonly select: (match: Match, key: Key) => object
  private readonly timeouts: Input | undefined
  private readonly selectTimeout: ((partial: Match, key: Key) => object) | undefined

  /** Throws PatternError where the pattern is malformed. */
  constructor(options: PatternMatchOptions) {
    const { id, pattern, what, codec } = options
    checkPattern(pattern)
    const tests = new Tests()
    const automaton = compilePattern(pattern, tests)
    const events = new Cells<Waiting>({ id, handle: FIRST_STATE, codec: waitingCodec(codec), timed: true })
    const steps = new Map(automaton.steps.map((step, i) => [step, i]))
    const kept = new Cells<Kept>({
      id,
      handle: FIRST_STATE + 1,
      codec: keptCodec(step => steps.get(step)!),
      timed: true
    })
    super(options, `pattern ${what}`, [
      keyedPart("events", "list", true, events, codec.shape),
      keyedPart("matches", "value", true, kept)
    ])
    this.key = options.key
    this.events = events
    this.kept = kept
    this.answers = new Answers(tests)
    this.matcher = new Matcher(pattern, automaton, this.answers)
    this.comparator = options.comparator as typeof this.comparator
    this.select = options.select as typeof this.select
    this.timeouts = options.timeouts
    this.selectTimeout = options.selectTimeout as typeof this.selectTimeout
    this.late = new LateEvents(options.late)
  }

  next(record: object, timestamp: number): void {
    if (this.time(timestamp) <= this.current) return this.late.take(record, timestamp)
    const { bytes, start, end, kind } = this.key
    const key = readKey(bytes, start, end, kind)
    this.events.put(key, this.events.next(key), { record, timestamp, number: UNNUMBERED }, timestamp)
  }

  watermark(watermark: number): void {
    this.late.watermark(watermark)
    this.advance(watermark)
  }

  /** All that has become due of the key that is due first. */
  protected perform(): void {
    const [event, kept] = [this.events, this.kept].map(cells => (cells.isDue(this.current) ? cells.first() : undefined))
    const first = event !== undefined && (kept === undefined || event.due <= kept.due) ? event : kept
    this.run(first!.key)
  }

  protected override handOn(): void {
    super.handOn()
    this.timeouts?.watermark(this.current)
  }

  private run(key: Key): void {
    const { matcher, answers, current } = this
    const matches = this.matchesOf(key)
    const output = this.outputOf(key)
    let number = this.numbered(key).reduce((next, { value }) => Math.max(next, value.number + 1), 0)
    for (const cell of this.inOrder(key)) {
      const { timestamp, record } = cell.value
      const event: Seen = { number: number++, timestamp, record }
      this.events.put(key, cell.sub, event, Number.POSITIVE_INFINITY)
      matcher.advance(matches, timestamp, output)
      answers.about(record)
      matcher.process(matches, event, output)
    }
    matcher.advance(matches, current, output)
    this.keep(key, matches)
  }

  /** The events whose time has come, in the order in which they are taken. */
  private inOrder(key: Key): readonly Cell<Waiting>[] {
    const due = this.events
      .all(key)
      .filter(({ value }) => value.number === UNNUMBERED && value.timestamp <= this.current)
    const { comparator } = this
    return due.sort((a, b) => {
      const apart = a.value.timestamp - b.value.timestamp
      return apart !== 0 || comparator === undefined ? apart : comparator(a.value.record, b.value.record)
    })
  }

  private numbered(key: Key): readonly Cell<Waiting>[] {
    return this.events.some(key).filter(({ value }) => value.number !== UNNUMBERED)
  }

  private matchesOf(key: Key): Matches {
    const kept = this.kept.find(key, undefined)
    if (kept === undefined) return new Matches()
    const events = new Map(this.numbered(key).map(({ value }) => [value.number, value]))
    return kept.value.matches(this.matcher.automaton, number => events.get(number)!)
  }

  /** Keeps what is under way, and the events that are part of it. At the end of time nothing is. */
  private keep(key: Key, matches: Matches): void {
    const cell = this.kept.find(key, undefined)
    const isOver = this.current === END_OF_TIME
    if (!matches.isEmpty && !isOver) this.kept.put(key, undefined, new Kept(matches), this.matcher.dueOf(matches))
    else if (cell !== undefined) this.kept.remove(cell)
    const used = isOver ? new Set<number>() : numbersIn(matches)
    for (const event of this.numbered(key)) if (!used.has(event.value.number)) this.events.remove(event)
  }

  private outputOf(key: Key) {
    return {
      match: (match: Match, timestamp: number) => this.emit(key, this.select(match, key), timestamp),
      timeout: (partial: Match, timestamp: number) => {
        if (this.timeouts === undefined || this.selectTimeout === undefined) return
        this.under(key)
        this.timeouts.next(this.selectTimeout(partial, key), timestamp)
      }
    }
  }
}

const numbersIn = ({ partials, held }: Matches): ReadonlySet<number> => {
  const numbers = new Set<number>()
  const seen = new Set<Link>()
  for (const { last } of [...partials, ...held])
    for (let link: Link | undefined = last; link !== undefined && !seen.has(link); link = link.before) {
      seen.add(link)
      numbers.add(link.event.number)
    }
  return numbers
}

/** `time · number · record`. */
const waitingCodec = (record: StoredCodec): ValueCodec<Waiting> => {
  const reader = new ValueReader()
  return {
    write: (event, out) => {
      writeNumber(out, event.timestamp)
      writeNumber(out, event.number)
      record.write(event.record, out)
    },
    read: (bytes, start, end) => {
      reader.reset(bytes.subarray(start, end))
      const [timestamp, number] = [reader.number(), reader.number()]
      return { timestamp, number, record: record.read(bytes, start + reader.at, end) as object }
    }
  }
}
