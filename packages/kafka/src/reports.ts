import { LogError } from "@headrace/engine"
import { Effect } from "effect"
import type { ConsumerEvent } from "./consumer.ts"
import type { KafkaError } from "./error.ts"
import { attempt, failed, logError } from "./port-error.ts"
import type { ClientEvent } from "./producer.ts"

/** The same text is logged once in this time, whichever of a thread's clients it comes from. */
const QUIET_MS = 10_000
/** Texts that are remembered; with more of them, the older ones may be said again too soon. */
const TEXTS_MAX = 256
const said = new Map<string, { at: number; again: number }>()

/** Logs what clients say of themselves: a cluster that is away makes them repeat it many times a second. */
export const report = (events: readonly (ConsumerEvent | ClientEvent)[]): Effect.Effect<void> =>
  Effect.forEach(events, sentence, { discard: true })

const sentence = (event: ConsumerEvent | ClientEvent): Effect.Effect<void> => {
  if (event.type === "error")
    return once(refuses(event.error) ? Effect.logError : Effect.logWarning, event.error.message)
  if (event.type !== "log" || REPEATED.has(event.facility) || IGNORED.test(event.message)) return Effect.void
  const level = event.facility === "GETPID" && COMING.test(event.message) ? Effect.logDebug : levelOf(event.level)
  return once(level, `librdkafka: ${event.message}`)
}

/** Broken connections and fatal errors come as errors as well. */
const REPEATED: ReadonlySet<string> = new Set(["FAIL", "FATAL"])
/** A cluster's settings go to clients of all kinds. */
const IGNORED = /is a (consumer|producer) property and will be ignored/

/**
 * A producer's session is asked for once more: its coordinator is on its way, as at each first start, or still ends what
 * the session before left open. If that takes too long, the call fails, which is told.
 */
const COMING =
  /(Coordinator load in progress|Coordinator not available|Not coordinator|another concurrent operation on the same transaction was ongoing): retrying/

const levelOf = (syslog: number) => (syslog <= 3 ? Effect.logError : syslog === 4 ? Effect.logWarning : Effect.logDebug)

const once = (log: (text: string) => Effect.Effect<void>, text: string): Effect.Effect<void> =>
  Effect.suspend(() => {
    const key = text.replace(TIMES, "").replace(THREAD, "")
    const now = performance.now()
    const before = said.get(key)
    if (before !== undefined && now - before.at < QUIET_MS) {
      before.again++
      return Effect.void
    }
    if (said.size >= TEXTS_MAX) said.clear()
    said.set(key, { at: now, again: 0 })
    return log(before === undefined || before.again === 0 ? text : `${text} (and ${before.again} more before)`)
  })

/** What differs from one time to the next: "(after 3ms in state CONNECT, 5 identical error(s) suppressed)". */
const TIMES = / ?\(after \d+ms in state \w+(, \d+ identical error\(s\) suppressed)?\)/g
const THREAD = /\[thrd:[^\]]*\]: /g

/** The cluster will not let this client in, or not let it do this, however long it waits. */
const refuses = ({ reason, message }: KafkaError): boolean => reason === "AuthFailed" && !PASSING.test(message)

/** A broker that goes away in the middle of a handshake; a token that may be had the next time. */
const PASSING = /Disconnected|Broker transport failure|Failed to acquire SASL OAUTHBEARER token/

const refusalIn = (events: readonly ClientEvent[]): KafkaError | undefined => {
  for (const event of events) if (event.type === "error" && refuses(event.error)) return event.error
  return undefined
}

/** A client that tells what happened to it only when it is asked. */
interface Silent {
  readonly events: () => readonly ClientEvent[]
}

/**
 * A call to a client, and then what the client has to say. A refusal in it is why the call failed: librdkafka itself
 * waits for another answer until the call times out.
 */
export const attemptWith = <A>(client: Silent, what: string, call: () => Promise<A>): Effect.Effect<A, LogError> => {
  const listen = Effect.suspend(() => {
    const events = client.events()
    return Effect.as(report(events), refusalIn(events))
  })
  return attempt(what, call).pipe(
    Effect.tap(() => listen),
    Effect.catch(error =>
      Effect.flatMap(listen, refusal => Effect.fail(refusal === undefined ? error : logError(what, refusal)))
    )
  )
}

/** A consumer's events are logged, but for the one with which it cannot go on: the poll fails with it. */
export const heard = (events: readonly ConsumerEvent[]): Effect.Effect<void, LogError> => {
  const ends = events.map(endOf)
  const error = ends.find(found => found !== undefined)
  const rest = report(events.filter((_, i) => ends[i] === undefined))
  return error === undefined ? rest : Effect.andThen(rest, Effect.fail(error))
}

const endOf = (event: ConsumerEvent): LogError | undefined => {
  if (event.type !== "error") return undefined
  const { error, partition } = event
  if (refuses(error) || error.fatal) return failed(error)
  if (error.reason !== "OffsetOutOfRange") return undefined
  return outOfRange(partition === undefined ? "a partition" : `${partition.topic}/${partition.partition}`, error)
}

/** Whoever starts again on another client finds out what was lost, and does as the job's policy says. */
const outOfRange = (where: string, cause: KafkaError): LogError =>
  new LogError("Gone", `The log does not have the next offset of ${where} any more`, { cause })
