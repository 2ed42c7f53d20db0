import { Effect } from "effect"
import type { LogError } from "../ports/log.ts"

/** Between two looks at who is in the group. */
const INTERVAL = "2 seconds"

export interface DepartedOptions {
  /** The name of the lane that asks: a member itself. */
  readonly self: string
  /** The names of the group's members, which are lanes; undefined where they cannot be known. */
  readonly members: Effect.Effect<readonly string[] | undefined, LogError>
  /** Aborts what a lane of this name left open, and fences it. */
  readonly abort: (lane: string) => Effect.Effect<void, LogError>
}

/**
 * Ends the transactions of lanes that are gone from the group, so that neither those who take their partitions over nor
 * readers of the outputs wait for the transaction time-out. Who is not in the group any more cannot commit: nothing is
 * taken from anybody. A lane that left in order has nothing open.
 */
export class Departed {
  private known: ReadonlySet<string> = new Set()
  private readonly options: DepartedOptions

  constructor(options: DepartedOptions) {
    this.options = options
  }

  /** Remembers who is there, for ever. */
  readonly watch: Effect.Effect<never> = Effect.suspend(() => this.remember()).pipe(
    Effect.catch(error => Effect.logDebug(`members: ${error.message}`)),
    Effect.andThen(Effect.sleep(INTERVAL)),
    Effect.forever
  )

  remember(): Effect.Effect<void, LogError> {
    return Effect.map(this.options.members, names => {
      this.known = new Set([...this.known, ...(names ?? [])])
    })
  }

  /** Called when partitions were taken over: who was there and is not any more is dead, or has left. */
  settle(): Effect.Effect<void, LogError> {
    return Effect.gen({ self: this }, function* () {
      const members = yield* this.options.members
      // A coordinator that has taken the group over, and not read its log yet, knows of nobody.
      if (members === undefined || !members.includes(this.options.self)) return
      const present = new Set(members)
      const gone = [...this.known].filter(name => !present.has(name))
      // Before the calls: the next partition that arrives does not ask for the same.
      this.known = present
      if (gone.length > 0) yield* Effect.logInfo(`Ending what ${gone.join(", ")} left open`)
      yield* Effect.forEach(gone, this.options.abort, { concurrency: "unbounded", discard: true })
    })
  }
}
