import { Duration } from "effect"
import { check } from "./error.ts"

const KAFKA_NAME = /^[A-Za-z0-9._-]{1,249}$/

/** A topic as Kafka allows it. */
export const topicName = (topic: string): string => {
  check(
    KAFKA_NAME.test(topic) && topic !== "." && topic !== "..",
    () => `"${topic}" is not a Kafka topic name: use 1 to 249 letters, digits, dots, underscores and dashes`
  )
  return topic
}

/** A pipeline's name. It becomes part of topics, groups and transactional ids, hence the same letters; two dots stand between the parts of those. */
export const pipelineName = (name: string): string => {
  check(
    KAFKA_NAME.test(name) && !/^\.|\.\.|\.$/.test(name),
    () =>
      `"${name}" is not a pipeline name: use 1 to 249 letters, digits, dots, underscores and dashes, without two dots in a row and none at the ends`
  )
  return name
}

/** An explicit id or a table: anything printable without blanks. */
export const plainName = (what: string, name: string): string => {
  check(/^[^\s\p{C}]+$/u.test(name), () => `"${name}" is not usable as ${what}: it is empty or contains blanks`)
  return name
}

/** Whole milliseconds of a duration of at least `least` ms. `what` names the setting in the message. */
export const milliseconds = (what: string, input: Duration.Input, least: number): number => {
  const ms = parsed(what, input)
  check(
    Number.isSafeInteger(ms) && ms >= least,
    () => `${what} is ${show(input)}: it has to be a whole number of milliseconds, at least ${least}`
  )
  return ms
}

const parsed = (what: string, input: Duration.Input): number => {
  const duration = Duration.fromInput(input)
  check(
    duration._tag === "Some",
    () => `${what} is ${show(input)}: write a duration such as "10 seconds" or "50 millis"`
  )
  return Duration.toMillis(duration.value)
}

const show = (input: Duration.Input): string =>
  typeof input === "string" ? `"${input}"` : typeof input === "bigint" ? `${input}n` : JSON.stringify(input)
