import { Effect } from "effect"
import { CliError } from "effect/cli"

/** Errors that are meant for the user are shown as their message, without a stack. */
export const userErrors = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.mapError(effect, cause => new CliError.UserError({ cause, userMessage: cause.message }))
