import { messageOf } from "@headrace/core"
import { Schema } from "effect"

/** The load could not be run or measured: `message` says what failed and what to do. Losses are no error. */
export class LoadError extends Schema.TaggedError<LoadError>()("LoadError", { message: Schema.String }) {}

export const loadError = (what: string, cause: unknown): LoadError =>
  cause instanceof LoadError ? cause : new LoadError({ message: `${what}: ${messageOf(cause)}` })
