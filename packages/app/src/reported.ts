import { Cause, Effect } from "effect"
import { CliError } from "effect/cli"

/** Errors of a command are shown by the command line itself. What nobody has reckoned with is logged whole: with where it comes from. */
export const reported = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.tapCause(effect, cause => {
    const unreckoned = cause.reasons.filter(
      reason => Cause.isDieReason(reason) || (Cause.isFailReason(reason) && !CliError.isCliError(reason.error))
    )
    if (unreckoned.length === 0) return Effect.void
    const what = Cause.pretty(Cause.fromReasons(unreckoned))
    return Effect.logError(`This is a fault of Headrace, or of the pipeline: ${what}`)
  })
