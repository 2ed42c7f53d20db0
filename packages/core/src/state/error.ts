/** Why state cannot be read, written or held. */
export type StateReason = "Damaged" | "UnknownOperator" | "Incompatible" | "Collision" | "TooLarge"

/** State does not fit the pipeline, or its bytes are not what was written. Never retried: the same bytes fail again. */
export class StateError extends Error {
  override readonly name = "StateError"
  readonly reason: StateReason
  constructor(reason: StateReason, message: string) {
    super(message)
    this.reason = reason
  }
}
