import { messageOf, type PatternChange, PatternError, type Unreadable } from "@headrace/core"
import { Schema } from "effect"
import { PipelineError } from "./error.ts"
import { patternOf, type ReadPattern, readSpec } from "./patternReader.ts"
import type { PatternSpec } from "./patternSpec.ts"
import type { Control } from "./patterns.ts"

/** The last word on a pattern, and how many there were. */
export const Known = Schema.Struct({
  turn: Schema.Int,
  version: Schema.Int,
  status: Schema.Literals(["active", "paused", "removed"]),
  spec: Schema.String
})
export type Known = typeof Known.Type

/** What is to become of a record of the control topic: a change, nothing since it says what holds already, or why it is refused. */
export type Decision =
  | { readonly change: PatternChange }
  | { readonly change: undefined; readonly refused: string | undefined }

/** `events`: the schema of what patterns look at. */
export const decide = (
  control: Control,
  said: number,
  known: Known | undefined,
  events: Schema.Top | undefined
): Decision => {
  try {
    const wanted = wantedOf(control, events)
    checkVersion(wanted, known)
    const isSame = known !== undefined && known.status === wanted.status && known.version === wanted.version
    if (isSame) return { change: undefined, refused: undefined }
    return { change: { ...wanted, turn: (known?.turn ?? 0) + 1, request: control.request, said } }
  } catch (error) {
    return { change: undefined, refused: refusalOf(error) }
  }
}

/** The pattern that a change brings, which was let pass, perhaps by an earlier version of the pipeline; or why this one does not. */
export const acceptedBefore = (
  { version, spec }: Pick<PatternChange, "version" | "spec">,
  events: Schema.Top | undefined
): ReadPattern | Unreadable => {
  try {
    return patternOf(checked(spec, events))
  } catch (error) {
    return {
      refused: `version ${version} was accepted by an earlier pipeline, and this one refuses it: ${refusalOf(error)}. It is not looked for, and what it had under way is dropped: apply it changed, or remove it`
    }
  }
}

/** What a pattern is refused by is not thrown any further. */
const refusalOf = (error: unknown): string => {
  if (error instanceof PatternError || error instanceof PipelineError) return error.message
  throw error
}

type Wanted = Pick<PatternChange, "id" | "version" | "status" | "spec">

const refuse = (message: string): never => {
  throw new PatternError(message)
}

const STATUS: readonly string[] = ["active", "paused", "removed"] satisfies readonly PatternChange["status"][]

const wantedOf = ({ id, version, status, spec }: Control, events: Schema.Top | undefined): Wanted => {
  if (!/^[^\s\p{C}]+$/u.test(id)) refuse(`"${id}" cannot be a pattern's id: it is empty or contains blanks`)
  if (version < 1) refuse(`its version is ${version}: make it 1 or more`)
  if (!STATUS.includes(status)) refuse(`its status is "${status}": make it ${STATUS.join(", ")}`)
  if (status === "removed") return { id, version, status, spec: "" }
  return { id, version, status: status as Wanted["status"], spec: checkedSpec(spec, events) }
}

/** The pattern that stands in a text, as canonical JSON. Throws PatternError, which names the step and the field. */
export const checkedSpec = (text: string, events: Schema.Top | undefined): string => {
  const spec = checked(text, events)
  patternOf(spec)
  return canonical(spec)
}

const checked = (text: string, events: Schema.Top | undefined): PatternSpec => {
  const spec = readSpec(parsed(text), events)
  if (spec.comparator != null)
    refuse("the comparator: events are in the order of the step that looks for patterns, see its option order")
  return spec
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch (error) {
    return refuse(`its spec is no JSON: ${messageOf(error)}`)
  }
}

/** JSON whose fields are in one order. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_, one) =>
    typeof one === "object" && one !== null && !Array.isArray(one)
      ? Object.fromEntries(Object.entries(one).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : one
  )

/** A version is one pattern for ever: what comes later, or looks for something else, has a greater one. */
const checkVersion = ({ version, status, spec }: Wanted, known: Known | undefined): void => {
  if (known === undefined) return
  if (version < known.version) refuse(`its version ${version} is over: ${known.version} has come already`)
  if (version > known.version || status === "removed") return
  if (known.status === "removed") refuse(`its version ${version} was removed: give it a greater one`)
  if (spec !== known.spec) refuse(`its version ${version} is another pattern already: give it a greater one`)
}
