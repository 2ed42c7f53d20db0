import { type Input, NO_WATERMARK } from "../operator.ts"
import { Agreement, type Heard, type PatternChange } from "../pattern/agreement.ts"
import type { PatternOf } from "../pattern/set.ts"
import { PatternMatch, type PatternMatchOptions } from "./patternMatch.ts"
import { FIRST_STATE } from "./processLayout.ts"

/** What a `DynamicPatterns` is made of: its patterns come as data. */
export interface DynamicPatternsOptions extends Omit<PatternMatchOptions, "patterns" | "beside"> {
  /** Makes a pattern of what was said about it, or says why it cannot: then it is not looked for. */
  readonly read: (change: PatternChange) => PatternOf | Unreadable
  /** Which partition of how many this is: all of them take up a change at one event time. */
  readonly place: { readonly partition: number; readonly partitions: number }
  /** Reaches the `heard` of all partitions, this one as well. */
  readonly tell: Input | undefined
  /** Hears once of each change what became of it, as `Applied`: from the first partition. */
  readonly applied: Input | undefined
}

/** Why a pattern that was accepted, by an earlier version of the pipeline, cannot be looked for. */
export interface Unreadable {
  readonly refused: string
}

/** What became of a change. */
export interface Applied {
  readonly change: PatternChange
  /** The event time behind which it holds; null where it does not, or was taken up again after that. */
  readonly from: number | null
  /** Why it is not looked for. */
  readonly refused: string | undefined
}

/** Behind the state of PatternMatch. */
const AGREEMENT = FIRST_STATE + 2

/**
 * Finds patterns that come, change, rest and go while it runs. A change that has come holds event time back until all partitions
 * have said how far they had come: it takes effect behind the greatest of these times. What a pattern has under way goes on
 * where it is the same, stays where it is paused (and is over when its time is), and is dropped, and counted, where it
 * has changed or gone. So it is where the pattern cannot be read any more: it is counted, and said once. What was said
 * about it still stands then, and holds again if it can be read later.
 */
export class DynamicPatterns extends PatternMatch {
  /** What is said about patterns flows in here, and here what partitions have heard of it. Neither holds event time back. */
  readonly changes: Input
  readonly heard: Input
  private readonly agreement: Agreement
  private readonly read: DynamicPatternsOptions["read"]
  private readonly tell: Input | undefined
  private readonly applied: Input | undefined
  /** What is the same in all partitions is counted, and said, by this one. */
  private readonly isFirst: boolean
  /** The set is not what state says: that comes first, and waits for no event, which may not come. */
  private isStale = false

  constructor(options: DynamicPatternsOptions) {
    const agreement = new Agreement(options.id, AGREEMENT, options.place)
    super({ ...options, patterns: [], beside: agreement.parts })
    this.agreement = agreement
    this.read = options.read
    this.tell = options.tell
    this.isFirst = options.place.partition === 0
    this.applied = this.isFirst ? options.applied : undefined
    this.changes = {
      next: (record, timestamp) => this.tell?.next(agreement.propose(record as PatternChange), timestamp),
      watermark: () => {}
    }
    this.heard = { next: record => agreement.hear(record as Heard), watermark: () => {} }
  }

  override watermark(watermark: number): void {
    const { agreement } = this
    agreement.come = Math.max(agreement.come, watermark)
    super.watermark(this.reach())
  }

  /** By how far event time has come, not by how far it may go: that depends on when the others were heard. */
  protected override get horizon(): number {
    return this.agreement.come
  }

  /** It may not go as far yet. */
  protected override get reached(): number {
    return this.agreement.come
  }

  override get pending(): boolean {
    return this.isStale || super.pending || this.isTurn
  }

  protected override perform(): void {
    if (this.isStale) return this.renew()
    if (super.pending) return super.perform()
    if (this.agreement.isDue(this.current)) this.turn()
    else this.current = this.reach()
  }

  protected override recall(): void {
    super.recall()
    this.agreement.recall()
    this.agreement.come = this.current
    // How far it may go follows from the state: it goes there before anything else.
    this.current = NO_WATERMARK
    this.isStale = this.agreement.all().length > 0
  }

  /** Whether, once nothing else is due, the set changes, or event time may go on. */
  private get isTurn(): boolean {
    return this.agreement.isDue(this.current) || this.reach() > this.current
  }

  private reach(): number {
    return Math.max(this.current, Math.min(this.agreement.come, this.agreement.limit))
  }

  private turn(): void {
    for (const { change, from } of this.agreement.take(this.current)) {
      const refused = this.apply(change)
      this.agreement.note(change.id, refused)
      this.say({ change, from: refused === undefined ? from : null, refused })
    }
    this.set.arrange()
  }

  /** Answers why it cannot. */
  private apply(change: PatternChange): string | undefined {
    const pattern = change.status === "removed" ? undefined : this.read(change)
    if (pattern !== undefined && !("refused" in pattern)) {
      this.look(pattern, change.status === "paused")
      return undefined
    }
    this.set.remove(change.id)
    if (pattern !== undefined && this.isFirst) this.set.totals.refused++
    return pattern?.refused
  }

  private renew(): void {
    this.isStale = false
    for (const change of this.agreement.all()) {
      const refused = this.apply(change)
      if (this.agreement.note(change.id, refused)) this.say({ change, from: null, refused })
    }
    this.set.arrange()
  }

  private say(applied: Applied): void {
    this.applied?.next(applied, applied.change.said)
  }
}
