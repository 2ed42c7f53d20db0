import { topicName } from "./check.ts"

/** Where records go that are given up: the topic gets the source record's bytes and headers that say why. */
export interface DeadLetter {
  readonly kind: "deadLetter"
  readonly topic: string
}

/**
 * Sends what fails to a topic, in the same transaction as the outputs. For `catchTag`, `catch` and `onDecodeError`.
 *
 * ```ts
 * import { DeadLetter } from "headrace"
 *
 * DeadLetter.to("payments.dlq").topic // => "payments.dlq"
 * ```
 */
export const to = (topic: string): DeadLetter => ({ kind: "deadLetter", topic: topicName(topic) })

/** Tells a dead letter from a handler function. */
export const isDeadLetter = (value: unknown): value is DeadLetter =>
  typeof value === "object" && value !== null && "kind" in value && value.kind === "deadLetter"
