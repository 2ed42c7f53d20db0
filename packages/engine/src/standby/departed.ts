import { Effect } from "effect"
import { idsOf } from "../names.ts"
import { untilAnswered } from "../patience.ts"
import type { OpenTransactions } from "../ports/clients.ts"
import { LogError } from "../ports/log.ts"

/** How often it is looked again after a failure. What is open longer than that ends by its time-out. */
const AGAIN = 5

export interface DepartedOptions {
  /** The name of the lane that asks: a member itself. */
  readonly self: string
  /** The job's transactions that are open; undefined where they cannot be known. */
  readonly open: Effect.Effect<OpenTransactions | undefined, LogError>
  /** The names of the group's members, which are lanes; undefined where they cannot be known. */
  readonly members: Effect.Effect<readonly string[] | undefined, LogError>
  /** Aborts what is open under an id, and fences who has it. */
  readonly abort: (id: string) => Effect.Effect<void, LogError>
}

/**
 * Ends the transactions of lanes that are not in the group any more, so that neither those who take their partitions over nor
 * readers of the outputs wait for the transaction time-out. Who is not in the group cannot commit: nothing is taken from
 * anybody. A lane that left in order has nothing open, nor has one that is started again and waits to be let in.
 */
export class Departed {
  private readonly options: DepartedOptions
  private settling = false
  private again = false

  constructor(options: DepartedOptions) {
    this.options = options
  }

  /**
   * Called when partitions were taken over. One look at a time; what comes meanwhile is looked for behind it. After a failure
   * all is asked anew: who was gone may be back by then, and have something open again. So is it where a broker did not tell of
   * what it coordinates: it may be back by then, or another one has taken that over.
   */
  settle(): Effect.Effect<void, LogError> {
    return Effect.suspend(() => {
      this.again = true
      if (this.settling) return Effect.void
      this.settling = true
      const look = Effect.suspend(() => {
        this.again = false
        return this.look()
      })
      return look.pipe(
        Effect.retry({ schedule: untilAnswered, times: AGAIN }),
        Effect.repeat({ while: () => this.again }),
        Effect.asVoid,
        Effect.ensuring(
          Effect.sync(() => {
            this.settling = false
          })
        )
      )
    })
  }

  /** Open ones first: who begins one is a member by then, and one that came in between is not taken for dead. */
  private look(): Effect.Effect<void, LogError> {
    return Effect.gen({ self: this }, function* () {
      const { ids, silent } = (yield* this.options.open) ?? { ids: [], silent: null }
      if (ids.length > 0) yield* this.end(ids)
      if (silent !== null)
        yield* Effect.fail(new LogError("Retry", `some broker did not tell what is open there: ${silent}`))
    })
  }

  /** Of the transactions that are open those that are nobody's. */
  private end(open: readonly string[]): Effect.Effect<void, LogError> {
    return Effect.gen({ self: this }, function* () {
      const members = yield* this.options.members
      // A coordinator that has taken the group over, and not read its log yet, knows of nobody.
      if (members === undefined || !members.includes(this.options.self)) return
      const theirs = new Set(members.flatMap(idsOf))
      const left = open.filter(id => !theirs.has(id))
      if (left.length > 0) yield* Effect.logInfo(`Ending what was left open under ${left.join(", ")}`)
      const [, failed] = yield* Effect.partition(left, this.options.abort, { concurrency: "unbounded" })
      if (failed[0] !== undefined) yield* Effect.fail(failed[0])
    })
  }
}
