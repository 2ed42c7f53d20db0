import { Idleness, NO_WATERMARK } from "@headrace/core"
import { Effect } from "effect"
import { nowMs } from "../clock.ts"
import type { GroupOffsets } from "../ports/clients.ts"
import type { Mark } from "../ports/committed-log.ts"
import type { LogError } from "../ports/log.ts"
import { type AlignedPartition, readBeside, watermarkBeside } from "./aligned.ts"
import { GroupClocks, HEARD_MS } from "./group-clocks.ts"

/** Between two looks. */
const INTERVAL_MS = 1_000
/** The same while something waits: nobody is to wait for what is over. */
const HELD_INTERVAL_MS = 100
const NOT_WAITED_FOR = Number.POSITIVE_INFINITY

export interface ElsewhereOptions {
  /** All of the job. */
  readonly partitions: readonly AlignedPartition[]
  /** What the lanes of this process share. */
  readonly clocks: SharedArrayBuffer
  /** Of the job's group. */
  readonly marks: GroupOffsets["latest"]
  readonly ends: GroupOffsets["ends"]
  /** Whether some partition is held back in this process. */
  readonly held: () => boolean
}

/**
 * What aligned partitions have come to that no lane of this process has: others have them, or nobody at the moment. It
 * stands beside their committed offsets; a look a second tells the lanes here, in the memory that they share. One that
 * does not move for as long as its source's idle time-out, and five seconds, is not waited for; nor is one whose offset
 * moves with nothing beside it. While looks fail for five seconds none is.
 *
 * What is held back, here or elsewhere, does not move either. It is silent only where its log ends, which is looked for, too.
 */
export class Elsewhere {
  /** Looks that failed. */
  failed = 0
  private readonly options: ElsewhereOptions
  private readonly clocks: GroupClocks
  private readonly away = new Map<number, Away>()
  /** Where the logs of those end that stand still because they are held back, as far as that is known. */
  private ends: ReadonlyMap<number, number> = new Map()
  private failure: string | undefined

  /** `wallClock`: as the lanes read it. From now on they wait for the first look. */
  constructor(options: ElsewhereOptions, wallClock: number) {
    this.options = options
    this.clocks = new GroupClocks(options.partitions, undefined, options.clocks)
    this.clocks.told(wallClock)
  }

  /** Why nothing is known of partitions elsewhere; undefined while it is. */
  get warning(): string | undefined {
    return this.failure && `alignment: what partitions of other processes have come to cannot be read: ${this.failure}`
  }

  /**
   * Looks for ever. What fails is said once, and tried again: the job goes on, and after a while without waiting for what it
   * cannot see.
   */
  get run(): Effect.Effect<never> {
    return Effect.flatMap(nowMs, now => this.look(now, Date.now())).pipe(
      Effect.andThen(this.succeeded),
      Effect.catch(error => this.failedWith(error)),
      Effect.andThen(Effect.suspend(() => Effect.sleep(this.options.held() ? HELD_INTERVAL_MS : INTERVAL_MS))),
      Effect.forever
    )
  }

  /** `now` is monotonous, in ms; `wallClock` as the lanes read it. */
  look(now: number, wallClock: number): Effect.Effect<void, LogError> {
    return Effect.gen({ self: this }, function* () {
      const { clocks, away } = this
      const { partitions } = this.options
      yield* this.mark(wallClock)
      this.ends = yield* this.endsOf(this.standing(wallClock))
      for (const number of partitions.keys()) clocks.tellEnd(number, this.ends.get(number))
      for (const [number, one] of away) clocks.tell(number, one.look(this.ends.get(number), now))
      clocks.told(wallClock)
    })
  }

  /** Sees which partitions are away, and what is committed of them. */
  private mark(wallClock: number): Effect.Effect<void, LogError> {
    return Effect.gen({ self: this }, function* () {
      const { clocks, away } = this
      const { partitions, marks } = this.options
      const numbers = [...partitions.keys()].filter(number => !clocks.isHere(number, wallClock))
      for (const number of away.keys()) if (clocks.isHere(number, wallClock)) away.delete(number)
      const found = numbers.length === 0 ? [] : yield* marks(numbers.map(number => partitions[number]!))
      const least = new Map<number, number>()
      for (const { group } of partitions) if (!least.has(group)) least.set(group, clocks.others(group, wallClock))
      for (const [i, number] of numbers.entries()) {
        const one = away.get(number) ?? new Away(partitions[number]!)
        away.set(number, one)
        one.see(found[i], least.get(partitions[number]!.group)!)
      }
    })
  }

  /** Where those stand that are held back, by a lane here or by whoever has them: by numbers. */
  private standing(wallClock: number): ReadonlyMap<number, number> {
    const { clocks, away } = this
    const standing = new Map<number, number>()
    for (const number of this.options.partitions.keys()) {
      const other = away.get(number)
      const position = other === undefined ? clocks.heldAt(number, wallClock) : other.heldAt
      if (position !== undefined) standing.set(number, position)
    }
    return standing
  }

  /**
   * Where the logs of those end that stand there. One that has more to read has until it has been read: it is not asked again.
   * Where ends cannot be read they are not known, and what is held back is waited for: so it is no failure of the look.
   */
  private endsOf(standing: ReadonlyMap<number, number>): Effect.Effect<ReadonlyMap<number, number>> {
    const { partitions, ends } = this.options
    const known = [...this.ends].filter(([number, end]) => end > (standing.get(number) ?? end))
    const asked = [...standing.keys()].filter(number => !known.some(([one]) => one === number))
    if (asked.length === 0) return Effect.succeed(new Map(known))
    return ends(asked.map(number => partitions[number]!)).pipe(
      Effect.map(found => new Map([...known, ...asked.map((number, i): [number, number] => [number, found[i]!])])),
      Effect.catch(error => Effect.as(Effect.logDebug(`alignment: ${error.message}`), new Map(known)))
    )
  }

  private readonly succeeded = Effect.suspend(() => {
    const mended = this.failure !== undefined
    this.failure = undefined
    return mended ? Effect.logInfo("alignment: partitions of other processes are waited for again") : Effect.void
  })

  private failedWith(error: LogError): Effect.Effect<void> {
    const isNew = this.failure === undefined
    this.failed++
    this.failure = error.message
    return isNew ? Effect.logWarning(`${this.warning}. Until they can, they are not waited for`) : Effect.void
  }
}

/** A partition that no lane of this process has, from look to look. */
class Away {
  private readonly partition: AlignedPartition
  private readonly silence: Idleness
  private seen: { readonly mark: Mark | undefined; readonly watermark: number } | undefined
  private moved = false
  /** Of what its group has come to, by more than the drift: whoever has it holds it back, as would this process. */
  private isAhead = false
  /** Whoever commits it says nothing of what it has come to: an older version. */
  private mute = false

  constructor(partition: AlignedPartition) {
    this.partition = partition
    // Commits, and looks, take their time.
    this.silence = new Idleness(Math.max(partition.idleMs, HEARD_MS))
  }

  /** What is committed of it. `least`: what its group had come to at the last look. */
  see(mark: Mark | undefined, least: number): void {
    const said = mark === undefined ? undefined : watermarkBeside(mark.metadata)
    const watermark = said ?? NO_WATERMARK
    const { seen } = this
    this.moved = seen !== undefined && (seen.watermark !== watermark || isRead(seen.mark, mark))
    this.mute = said === undefined && (this.moved || this.mute)
    this.seen = { mark, watermark }
    this.isAhead = watermark - least > this.partition.maxDriftMs
  }

  /** Where it stands if it is held back. */
  get heldAt(): number | undefined {
    return this.isAhead ? this.seen?.mark?.offset : undefined
  }

  /** How far it has come, as far as others are to wait for that. `end`: of its log, if that is known. */
  look(end: number | undefined, now: number): number {
    const { mark, watermark } = this.seen!
    // That one which is held back does not move is no silence, unless there is nothing more to read.
    if (this.moved || (this.isAhead && mark?.offset !== end)) this.silence.observe()
    return this.silence.look(now) || this.mute ? NOT_WAITED_FOR : watermark
  }
}

/** Records were read between the two: what its offset has passed besides is none. */
const isRead = (before: Mark | undefined, mark: Mark | undefined): boolean =>
  (before && readBeside(before)) !== (mark && readBeside(mark))
