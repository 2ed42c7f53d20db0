import { existsSync } from "node:fs"
import { messageOf } from "@headrace/core"
import { Effect, Schema } from "effect"
import { digest, Pipeline, type Plan, toPlan } from "headrace"
import { importPipeline } from "../../../workers/modules.ts"

/** The pipeline's file cannot be used. The message names the place in it where there is one. */
export class ModuleError extends Schema.TaggedError<ModuleError>()("ModuleError", { message: Schema.String }) {}

export interface LoadedPipeline {
  readonly plan: Plan
  /** What every thread's plan must have, too. */
  readonly digest: string
}

/** Imports a pipeline file and turns its default export into a plan. */
export const loadPipeline = Effect.fnUntraced(function* (path: string) {
  if (!existsSync(path)) return yield* new ModuleError({ message: `${path}: there is no such file` })
  const exported = yield* Effect.tryPromise({
    try: () => importPipeline(path),
    catch: error => new ModuleError({ message: explain(path, error) })
  })
  if (exported === undefined) return yield* new ModuleError({ message: `${path}: has no default export; ${EXPECTED}` })
  return yield* Effect.try({
    try: () => planOf(exported),
    catch: error => new ModuleError({ message: `${path}: ${messageOf(error)}` })
  })
})

const EXPECTED = "write `export default Pipeline.make(…)…to(…)`"

const planOf = (exported: unknown): LoadedPipeline => {
  if (!Pipeline.isPipeline(exported)) throw new Error(`the default export is not a finished pipeline; ${EXPECTED}`)
  const plan = toPlan(exported)
  return { plan, digest: digest(plan) }
}

/** What went wrong in the file, with file:line:column where the runtime knows them. */
const explain = (path: string, error: unknown): string => {
  const errors = error instanceof AggregateError ? error.errors : [error]
  return errors.map(each => `${placeOf(path, each)}: ${messageOf(each)}`).join("\n")
}

const placeOf = (path: string, error: unknown): string => {
  const position = positionOf(error)
  if (position !== undefined) return position
  // The first frame inside the user's files.
  const frame = /\((\/(?!\$bunfs)[^()]+:\d+:\d+)\)|at (\/(?!\$bunfs)\S+:\d+:\d+)/.exec(stackOf(error))
  return frame?.[1] ?? frame?.[2] ?? path
}

/** Bun's build messages carry where they are about. */
const positionOf = (error: unknown): string | undefined => {
  if (typeof error !== "object" || error === null || !("position" in error)) return undefined
  const position = error.position
  if (typeof position !== "object" || position === null) return undefined
  const { file, line, column } = position as { file?: unknown; line?: unknown; column?: unknown }
  return typeof file === "string" ? `${file}:${String(line)}:${String(column)}` : undefined
}

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? "") : "")
