import { ByteWriter } from "../bytes.ts"
import type { StoredCodec } from "../codec.ts"
import { type Key, type Keyed, keyed, readKey, writeKey } from "../key.ts"
import { END_OF_TIME, type Input } from "../operator.ts"
import type { Beginning } from "../pattern/beginnings.ts"
import { Matches, Seen } from "../pattern/matches.ts"
import type { Output } from "../pattern/matching.ts"
import type { OpenMatch } from "../pattern/open.ts"
import type { Path } from "../pattern/path.ts"
import { type Numbers, savedCodec } from "../pattern/saved.ts"
import { type PatternCounts, type PatternOf, PatternSet, type PatternTotals } from "../pattern/set.ts"
import { type KeyMatches, Spare } from "../pattern/underWay.ts"
import { AHEAD } from "../state/ahead.ts"
import type { KeyArena } from "../state/keyArena.ts"
import { Rows } from "../state/rows.ts"
import { Waiting } from "../state/waiting.ts"
import { EventTimeOperator, type EventTimeOptions, type KeyedPart, keyedPart, LateEvents } from "./eventTime.ts"
import { FIRST_STATE } from "./processLayout.ts"

/** How many partial matches a pattern may have in a key, if nothing else is said. */
const MAX_PARTIALS = 1_000

/** What a `PatternMatch` is made of, by the plan and by its place in the chain. */
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
  /**
   * Paths say how many events were ignored between two that were taken: what is under way in a key is then written with each
   * event of it.
   */
  readonly counted?: boolean | undefined
  /** State beside that of the keys. */
  readonly beside?: readonly KeyedPart[]
}

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
  private readonly waiting: Waiting
  private readonly rows: Rows<KeyMatches>
  protected readonly set: PatternSet
  private readonly timeouts: Input | undefined
  private readonly numbers: Numbers
  private readonly counted: boolean
  /** The key that is looked at. */
  private readonly at: Keyed = keyed()
  /** What an event begins: scratch. */
  private readonly begun = new Matches()
  private readonly spare = new Spare()
  /** Events that were taken, in this process. */
  private taken = 0
  private readonly expectRow = (slot: number): void => {
    const { keys } = this.waiting
    this.rows.expect(keys.bytes, keys.startOf(slot), keys.endOf(slot))
  }

  /** Throws PatternError where a pattern is malformed. */
  constructor(options: PatternMatchOptions) {
    const { id, patterns, what, codec, comparator, maxPartials = MAX_PARTIALS, counted = false } = options
    const set = new PatternSet(maxPartials)
    const numbers = { next: 0 }
    const waiting = new Waiting({ id, handle: FIRST_STATE, codec, comparator })
    const rows = new Rows<KeyMatches>({ id, handle: FIRST_STATE + 1, codec: savedCodec(codec, numbers) })
    super(options, `pattern ${what}`, [
      keyedPart("events", "list", false, waiting, codec.shape),
      keyedPart("matches", "value", true, rows, codec.shape),
      ...(options.beside ?? [])
    ])
    this.key = options.key
    this.waiting = waiting
    this.rows = rows
    this.set = set
    this.numbers = numbers
    this.counted = counted
    for (const pattern of patterns) this.look(pattern, false)
    if (set.members.size < patterns.length) throw new RangeError("Two patterns of one step have the same id")
    this.timeouts = options.timeouts
    this.late = new LateEvents(options.late)
  }

  /** What became of partial matches, by pattern. */
  get counts(): readonly PatternCounts[] {
    return this.set.counts
  }

  /** The same of all patterns together. */
  get totals(): Readonly<PatternTotals> {
    return this.set.totals
  }

  override get pending(): boolean {
    return this.waiting.isDue(this.current) || this.rows.isDue(this.current)
  }

  /** Looks for a pattern from now on, in place of one with the same id. Throws PatternError where it is malformed. */
  protected look(pattern: PatternOf, paused: boolean): void {
    const counts = this.set.countsOf(pattern.id)
    this.set.put(pattern, paused, this.outputOf(pattern, counts))
  }

  /** What is not later than this is late, whatever its key. */
  protected get horizon(): number {
    return this.current
  }

  next(record: object, timestamp: number): void {
    if (this.time(timestamp) <= this.times.ofKeyed(this.key, this.horizon)) this.late.take(record, timestamp)
    else this.waiting.add(this.key, record, timestamp)
  }

  watermark(watermark: number): void {
    this.late.watermark(watermark)
    this.advance(watermark)
  }

  /** Takes the first event whose time has come; where there is none, a key whose partial matches are over. */
  protected perform(): void {
    if (!this.waiting.isDue(this.current)) return this.expire(this.rows.first())
    const slot = this.waiting.first()
    if (this.taken++ % AHEAD === 0) this.bringNext()
    this.take(slot)
  }

  /** The rows of the events that come next. */
  private bringNext(): void {
    this.waiting.tellFirst(AHEAD, this.expectRow)
    this.rows.bring()
  }

  /** What the patterns have under way in a key, in their order. */
  openMatches(key: Key): readonly OpenMatch[] {
    const written = new ByteWriter(64)
    const kind = writeKey(written, key)
    const row = this.rows.find({ kind, bytes: written.bytes, start: 0, end: written.length })
    return [...(row ?? [])].flatMap(own => {
      const member = this.set.members.get(own.id)
      if (member?.version !== own.version) return []
      return member.matcher.open(own, row!.turn).map(one => ({ pattern: own.id, ...one }))
    })
  }

  protected override handOn(): void {
    super.handOn()
    this.timeouts?.watermark(this.current)
  }

  /** Takes an event through the patterns that have something under way in its key, then through those that it may begin. */
  private take(slot: number): void {
    const { waiting, rows, at, set, numbers, counted } = this
    this.turnTo(waiting.keys, slot)
    // What comes back from the store with the row has its numbers before the event.
    const row = rows.find(at)
    const turn = counted ? (row?.turn ?? 0) + 1 : 0
    const event = new Seen(numbers.next++, waiting.timeOf(slot), waiting.recordOf(slot), turn)
    set.answers.about(event.record)
    const dropped = row?.lookUp(set) === true
    if (row !== undefined) this.goOn(row, event)
    const begun = this.begin(row, event)
    if (begun !== undefined) begun.turn = turn
    waiting.remove(slot)
    if (row !== undefined) this.keep(row, dropped || counted)
    else if (begun !== undefined) {
      begun.settle(this.spare)
      rows.add(at, begun, begun.end)
    }
  }

  private goOn({ first }: KeyMatches, event: Seen): void {
    for (let own = first; own !== undefined; own = own.next) {
      const member = own.member!
      member.shown = event.number
      member.matcher.advance(own, event.timestamp, member.output)
      if (!member.paused) member.matcher.process(own, event, member.output)
    }
  }

  /** What is under way in the key then. `known`: what is so far. */
  private begin(known: KeyMatches | undefined, event: Seen): KeyMatches | undefined {
    const { others, fields } = this.set.beginnings
    let row = this.beginAny(others, known, event)
    for (let i = 0; i < fields.length; i++) row = this.beginAny(fields[i]!.of(event.record), row, event)
    return row
  }

  /** The same of these beginnings. */
  private beginAny(
    beginnings: readonly Beginning[],
    known: KeyMatches | undefined,
    event: Seen
  ): KeyMatches | undefined {
    const { set, begun } = this
    let row = known
    for (let i = 0; i < beginnings.length; i++) {
      if (!set.mayBegin(beginnings[i]!)) continue
      const { members } = beginnings[i]!
      for (let j = 0; j < members.length; j++) {
        const member = members[j]!
        if (member.shown === event.number) continue
        member.matcher.process(begun, event, member.output)
        if (begun.isEmpty) continue
        row ??= this.spare.key(set)
        row.add(this.spare.way(member, begun))
      }
    }
    return row
  }

  /** Time goes on for all of a key. */
  private expire(row: KeyMatches): void {
    this.turnTo(this.rows.keys, row.slot)
    const dropped = row.lookUp(this.set)
    for (let own = row.first; own !== undefined; own = own.next)
      own.member!.matcher.advance(own, this.current, own.member!.output)
    // At the end of time, when all events were taken, nothing is under way any more.
    if (this.current === END_OF_TIME) this.rows.remove(row)
    else this.keep(row, dropped)
  }

  /** `touched`: it is to be written, also if nothing came of the event. */
  private keep(row: KeyMatches, touched: boolean): void {
    const changed = row.settle(this.spare)
    if (row.first === undefined) {
      this.rows.remove(row)
      this.spare.leaveKey(row)
    } else if (changed || touched) this.rows.put(row, row.end)
    else this.rows.wait(row, row.end)
  }

  /** What follows is of the key in a slot. */
  private turnTo(keys: KeyArena, slot: number): void {
    const { at } = this
    at.bytes = keys.bytes
    at.start = keys.startOf(slot)
    at.end = keys.endOf(slot)
    at.kind = keys.kindOf(slot)
  }

  /** The key that is looked at, under which the next result is handed on. */
  private name(): Key {
    const { at, outputKey } = this
    outputKey.bytes = at.bytes
    outputKey.start = at.start
    outputKey.end = at.end
    outputKey.kind = at.kind
    return readKey(at.bytes, at.start, at.end, at.kind)
  }

  private outputOf({ select, selectTimeout }: PatternOf, counts: PatternCounts): Output {
    const make = select as (match: object, key: Key, path: Path) => object
    const makeTimeout = selectTimeout as ((partial: object, key: Key) => object) | undefined
    return {
      match: (match, timestamp, path) => this.output.next(make(match, this.name(), path), timestamp),
      timeout: (partial, timestamp) => {
        counts.timedOut++
        this.set.totals.timedOut++
        if (this.timeouts === undefined || makeTimeout === undefined) return
        this.timeouts.next(makeTimeout(partial, this.name()), timestamp)
      },
      overflow: count => {
        counts.overflowed += count
        this.set.totals.overflowed += count
      }
    }
  }
}
