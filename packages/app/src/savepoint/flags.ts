import { isSavepointId, type RestoreSavepoint } from "@headrace/engine"
import { Effect, Option } from "effect"
import { Argument, Flag } from "effect/cli"
import { ConfigError } from "../config/error.ts"

export const idArgument = Argument.String("id").pipe(
  Argument.withDescription("The savepoint: see headrace savepoint list")
)

/** How state is taken over, for `savepoint restore` and `run --from-savepoint`. */
export const restoreFlags = {
  allowNonRestoredState: Flag.Boolean("allow-non-restored-state").pipe(
    Flag.withDescription("Leave state behind that the pipeline has no place for"),
    Flag.withDefault(false)
  ),
  force: Flag.Boolean("force").pipe(
    Flag.withDescription("Throw away the state that the job has"),
    Flag.withDefault(false)
  ),
  source: Flag.KeyValuePair("source").pipe(
    Flag.withMetavar("topic=topic"),
    Flag.withDescription("A topic of the savepoint, and the one that the pipeline reads in its place"),
    Flag.withDefault<Record<string, string>>({})
  ),
  sourceOffsets: Flag.Literals("source-offsets", ["savepoint", "earliest"]).pipe(
    Flag.withDescription("Where topics go on: earliest if they hold what comes after the savepoint, and nothing else"),
    Flag.withDefault("savepoint" as const)
  )
}

export interface RestoreFlags {
  readonly allowNonRestoredState: boolean
  readonly force: boolean
  readonly source: Record<string, string>
  readonly sourceOffsets: "savepoint" | "earliest"
}

export const restoreOf = (id: string, flags: RestoreFlags): RestoreSavepoint => ({
  id,
  allowNonRestored: flags.allowNonRestoredState,
  force: flags.force,
  renamed: new Map(Object.entries(flags.source)),
  fromEarliest: flags.sourceOffsets === "earliest"
})

export const savepointIdFlag = Flag.String("id").pipe(
  Flag.withMetavar("name"),
  Flag.withDescription("The savepoint's id (default: the app's name and the time)"),
  Flag.optional
)

/** What was given for an id, if it can be one. */
export const checkedId = (given: Option.Option<string>): Effect.Effect<string | undefined, ConfigError> => {
  const id = Option.getOrUndefined(given)
  return id === undefined || isSavepointId(id)
    ? Effect.succeed(id)
    : Effect.fail(
        new ConfigError({
          message: `--id: "${id}" cannot be a savepoint's id: use letters, digits, ".", "_" and "-", at most 200, the first one no sign`
        })
      )
}
