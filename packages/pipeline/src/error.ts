import { Schema } from "effect"

/** A pipeline that cannot be built as described. Thrown while the module is imported, before anything runs. */
export class PipelineError extends Schema.TaggedError<PipelineError>()("PipelineError", {
  message: Schema.String
}) {}

/** Throws PipelineError unless `holds`. The message says what happened, to what, and what to do. */
export function check(holds: boolean, message: () => string): asserts holds {
  if (!holds) throw new PipelineError({ message: message() })
}
