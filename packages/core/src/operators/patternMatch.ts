import type { StoredCodec, ValueCodec } from "../codec.ts"
import { type Key, type Keyed, readKey } from "../key.ts"
import { END_OF_TIME, type Input } from "../operator.ts"
import { Matches, type Output, type Seen } from "../pattern/matching.ts"
import type { OpenMatch } from "../pattern/open.ts"
import { Kept, keptCodec } from "../pattern/saved.ts"
import { type Member, type PatternCounts, type PatternOf, PatternSet } from "../pattern/set.ts"
import { type Cell, Cells } from "../state/cells.ts"
import { ValueReader, writeNumber } from "../state/number.ts"
import { EventTimeOperator, type EventTimeOptions, type KeyedPart, keyedPart, LateEvents } from "./eventTime.ts"
import { FIRST_STATE } from "./processLayout.ts"

/** How many partial matches a pattern may have in a key, if nothing else is said. */
const MAX_PARTIALS = 1_000

export interface PatternMatchOptions extends EventTimeOptions {
  readonly key: Keyed
  readonly patterns: readonly PatternOf[]
  /** What the step does, as a person reads it: state of another one is refused. */
  readonly what: string
  /** How events are kept. */
  readonly codec: StoredCodec
  /** The order of events of one time; those that are alike by it, and all without it, stay in the order of their arrival. */
  readonly comparator?: ((a: never, b: never) => number) | undefined
  /** Where partial matches go whose time is over, as records that `selectTimeout` makes of them. */
  readonly timeouts?: Input | undefined
  /** Where late events go; without it they are dropped and counted. */
  readonly late: Input | undefined
  /**
   * How many partial matches, and complete ones held back, each pattern may have in each key: of more than that those that
   * began earliest are given up, and counted. Default: 1,000.
   */
  readonly maxPartials?: number | undefined
  /** State beside that of the keys. */
  readonly beside?: readonly KeyedPart[]
}

/** An event of a key. One that waits for its time has no number yet. */
interface Waiting {
  readonly timestamp: number
  readonly number: number
  readonly record: object
}

const UNNUMBERED = -1

/**
 * Finds patterns in the events of each key, by Flink's rules: they wait until the watermark has reached their time and are then
 * taken in its order, by all patterns. An event at or before the watermark is late. Partial matches share their events, which
 * go with the last of them; one whose time is over goes as soon as the watermark says so, without a further event. What each
 * pattern has in a key is state of its own: a new one finds none, and that of one that has gone or changed is dropped, and
 * counted, when its key is next looked at.
 */
export class PatternMatch extends EventTimeOperator implements Input {
  readonly late: LateEvents
  private readonly key: Keyed
  private readonly events: Cells<Waiting>
  private readonly kept: Cells<Kept>
  protected readonly set: PatternSet
  private readonly comparator: ((a: object, b: object) => number) | undefined
  private readonly timeouts: Input | undefined
  /** The key that is looked at. */
  private at: Key = ""

  /** Throws PatternError where a pattern is malformed. */
  constructor(options: PatternMatchOptions) {
    const { id, patterns, what, codec, maxPartials = MAX_PARTIALS } = options
    const set = new PatternSet(maxPartials)
    const events = new Cells<Waiting>({ id, handle: FIRST_STATE, codec: waitingCodec(codec), timed: true })
    const kept = new Cells<Kept>({ id, handle: FIRST_STATE + 1, codec: keptCodec(), timed: true })
    super(options, `pattern ${what}`, [
      keyedPart("events", "list", true, events, codec.shape),
      keyedPart("matches", "map", true, kept),
      ...(options.beside ?? [])
    ])
    this.key = options.key
    this.events = events
    this.kept = kept
    this.set = set
    for (const pattern of patterns) this.look(pattern, false)
    if (set.members.size < patterns.length) throw new RangeError("Two patterns of one step have the same id")
    this.comparator = options.comparator as typeof this.comparator
    this.timeouts = options.timeouts
    this.late = new LateEvents(options.late)
  }

  /** What became of partial matches, by pattern. */
  get counts(): readonly PatternCounts[] {
    return this.set.counts
  }

  /** The same of all patterns together. */
  get totals(): { readonly overflowed: number; readonly dropped: number } {
    return this.set.totals
  }

  /** Looks for a pattern from now on, in place of one with the same id. Throws PatternError where it is malformed. */
  protected look(pattern: PatternOf, paused: boolean): void {
    const counts = this.set.countsOf(pattern.id)
    this.set.put(pattern, paused, this.outputOf(pattern, counts))
  }

  /** What is not later than this is late. */
  protected get horizon(): number {
    return this.current
  }

  next(record: object, timestamp: number): void {
    if (this.time(timestamp) <= this.horizon) return this.late.take(record, timestamp)
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
    const event = this.events.isDue(this.current) ? this.events.first() : undefined
    const kept = this.kept.isDue(this.current) ? this.kept.first() : undefined
    this.run((event !== undefined && (kept === undefined || event.due <= kept.due) ? event : kept!).key)
  }

  /** What the patterns have under way in a key, in their order. */
  openMatches(key: Key): readonly OpenMatch[] {
    const cells = this.events.all(key)
    return this.kept.some(key).flatMap(({ sub, value }) => {
      const member = this.set.members.get(sub as string)
      if (member?.version !== value.version) return []
      const { of, matcher } = member
      const matches = value.matches(matcher.automaton, number => eventOf(cells, number))
      return matcher.open(matches).map(one => ({ pattern: of.id, ...one }))
    })
  }

  protected override handOn(): void {
    super.handOn()
    this.timeouts?.watermark(this.current)
  }

  private run(key: Key): void {
    this.at = key
    const cells = this.events.all(key)
    const rows = this.kept.some(key)
    const matches = this.matchesOf(rows, cells)
    for (const event of this.numbered(cells)) this.take(event, matches)
    for (const [{ matcher, output }, own] of matches) matcher.advance(own, this.current, output)
    this.keep(key, matches, cells)
  }

  /** The events whose time has come, in the order in which they are taken: they have their numbers by it from now on. */
  private numbered(cells: readonly Cell<Waiting>[]): readonly Seen[] {
    let number = 0
    const due: Cell<Waiting>[] = []
    for (const cell of cells) {
      if (cell.value.number !== UNNUMBERED) number = Math.max(number, cell.value.number + 1)
      else if (cell.value.timestamp <= this.current) due.push(cell)
    }
    if (due.length > 1) due.sort((a, b) => this.compare(a.value, b.value))
    return due.map(cell => {
      const { timestamp, record } = cell.value
      cell.value = { timestamp, record, number: number++ }
      return cell.value
    })
  }

  private compare(a: Waiting, b: Waiting): number {
    const apart = a.timestamp - b.timestamp
    return apart !== 0 || this.comparator === undefined ? apart : this.comparator(a.record, b.record)
  }

  /** What is under way, by pattern, in the order of the patterns: in state it may stand in any. */
  private matchesOf(rows: readonly Cell<Kept>[], cells: readonly Cell<Waiting>[]): Map<Member, Matches> {
    const found: [Member, Matches][] = []
    for (const row of rows) {
      const member = this.set.members.get(row.sub as string)
      if (member?.version === row.value.version)
        found.push([member, row.value.matches(member.matcher.automaton, number => eventOf(cells, number))])
      else {
        this.set.countsOf(row.sub as string).dropped += row.value.size
        this.set.totals.dropped += row.value.size
        this.kept.remove(row)
      }
    }
    return new Map(found.length > 1 ? found.sort(([a], [b]) => a.place - b.place) : found)
  }

  /** Takes an event through the patterns that have something under way, then through those that it may begin. */
  private take(event: Seen, matches: Map<Member, Matches>): void {
    this.set.answers.about(event.record)
    for (const [{ matcher, output, paused }, own] of matches) {
      matcher.advance(own, event.timestamp, output)
      if (!paused) matcher.process(own, event, output)
    }
    this.set.begun(member => {
      if (matches.has(member)) return
      const own = new Matches()
      member.matcher.process(own, event, member.output)
      if (!own.isEmpty) matches.set(member, own)
    })
  }

  /** Keeps what is under way, and the events that are part of it. At the end of time nothing is. */
  private keep(key: Key, matches: ReadonlyMap<Member, Matches>, cells: readonly Cell<Waiting>[]): void {
    const used = new Set<number>()
    for (const [member, own] of matches) {
      const { id } = member.of
      if (own.isEmpty || this.current === END_OF_TIME) {
        const cell = this.kept.find(key, id)
        if (cell !== undefined) this.kept.remove(cell)
        continue
      }
      own.addEvents(used)
      if (own.changed) this.kept.put(key, id, Kept.of(member.version, own, member.matcher.automaton), own.due)
      own.changed = false
    }
    for (const cell of cells) {
      const { number } = cell.value
      if (number === UNNUMBERED) continue
      if (!used.has(number)) this.events.remove(cell)
      else if (cell.due !== Number.POSITIVE_INFINITY)
        this.events.put(key, cell.sub, cell.value, Number.POSITIVE_INFINITY)
    }
  }

  private outputOf({ select, selectTimeout }: PatternOf, counts: PatternCounts): Output {
    const make = select as (match: object, key: Key) => object
    const makeTimeout = selectTimeout as ((partial: object, key: Key) => object) | undefined
    return {
      match: (match, timestamp) => this.emit(this.at, make(match, this.at), timestamp),
      timeout: (partial, timestamp) => {
        if (this.timeouts === undefined || makeTimeout === undefined) return
        this.under(this.at)
        this.timeouts.next(makeTimeout(partial, this.at), timestamp)
      },
      overflow: count => {
        counts.overflowed += count
        this.set.totals.overflowed += count
      }
    }
  }
}

const eventOf = (cells: readonly Cell<Waiting>[], number: number): Seen =>
  cells.find(({ value }) => value.number === number)!.value

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
