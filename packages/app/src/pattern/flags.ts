import { Option } from "effect"
import { Argument, Flag } from "effect/cli"
import { parseDuration } from "../value.ts"

export const file = Argument.String("file").pipe(
  Argument.withDescription("A pattern as JSON: see headrace pattern schema")
)
export const json = Flag.Boolean("json").pipe(Flag.withDescription("As JSON"), Flag.withDefault(false))

/** A duration with its unit, in ms. */
export const duration = (name: string, help: string) =>
  Flag.String(name).pipe(
    Flag.filterMap(
      text => Option.fromUndefinedOr(parseDuration(text)),
      text => `expected a duration with its unit, like 30s, got "${text}"`
    ),
    Flag.withMetavar("duration"),
    Flag.withDescription(help)
  )
