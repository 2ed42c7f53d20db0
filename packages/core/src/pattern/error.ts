/** A pattern that cannot be matched as it stands. The message names the step. */
export class PatternError extends Error {
  override readonly name = "PatternError"
}
