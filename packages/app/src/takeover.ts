import { messageOf } from "@headrace/core"
import type { JobConfig, LaneMetrics } from "@headrace/engine"
import { Deferred, Effect, Schedule, Schema } from "effect"
import { Identity, obstacle } from "./handover.ts"
import type { Status } from "./status.ts"
import type { Admission } from "./supervisor.ts"

/** This process cannot go on in the place of another one. */
export class TakeoverRefused extends Schema.TaggedError<TakeoverRefused>()("TakeoverRefused", {
  message: Schema.String
}) {}

/** Offsets of a changelog that may be left to read: some tens of milliseconds. */
const CLOSE_ENOUGH = 200
const LOOK_EVERY = "20 millis"
/** A process that owns nothing may have lost it for a moment: some seconds of looks are made before that is believed. */
const LOOKS_AT_NOTHING = 50
const REPORT_EVERY_MS = 5000
/** Longer than a clean stop may take. */
const STOPS_WITHIN_MS = 15_000

/** Whether the process at `url` may be replaced by one of this identity. Asked before anything is started. */
export const mayTakeOver = Effect.fnUntraced(function* (url: string, identity: Identity) {
  const response = yield* ask(url)
  const theirs = yield* Effect.tryPromise({
    try: async () => Schema.decodeUnknownSync(Identity)(await response.json()),
    catch: () =>
      refused(
        `cannot take over from ${url}: it does not say what it runs as a job of this version of Headrace does (${response.status} ${response.statusText}). ` +
          "Is it one? Stop it, and start this one without --takeover"
      )
  })
  const why = obstacle(theirs, identity)
  if (why !== undefined) return yield* refused(`cannot take over from ${url}: ${why}`)
})

/**
 * Waits until the lanes of this process have followed what those at `url` own, has these stop, and lets its own in.
 * The rest of this process begins when the other one is gone.
 */
export const takeOver = Effect.fnUntraced(function* <E, R>(
  url: string,
  job: JobConfig,
  identity: Identity,
  status: Status,
  admission: Admission,
  hold: Effect.Effect<void, E, R>
) {
  yield* followed(status, looksAtNothing(job.kafka.settings))
  yield* Effect.logInfo(`takes over from ${url}`)
  const begun = performance.now()
  const response = yield* ask(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(identity)
  })
  if (!response.ok) return yield* refused(`${url} does not hand over: ${yield* Effect.promise(() => response.text())}`)
  yield* Deferred.succeed(admission.lanes, undefined)
  yield* Effect.logInfo(`its lanes stopped within ${Math.round(performance.now() - begun)} ms`)
  yield* gone(url)
  // Its name is free once it has ended altogether.
  yield* Effect.retry(hold, { schedule: Schedule.spaced("20 millis"), times: STOPS_WITHIN_MS / 20 })
  yield* Deferred.succeed(admission.rest, undefined)
})

/**
 * After how many looks it is believed that there is nothing to follow: at once with KIP-848, of whose groups brokers tell
 * what each member has at any time (`Admin.members`), or nothing ever.
 */
export const looksAtNothing = (settings: JobConfig["kafka"]["settings"]): number =>
  settings["group.protocol"] === "consumer" ? 1 : LOOKS_AT_NOTHING

/** Whether lanes have read nearly all that there is. That there is nothing is believed after so many looks. */
export const areClose = (lanes: readonly Pick<LaneMetrics, "get">[], atNothing: number): boolean => {
  const looks = lanes.some(lane => lane.get("toFollow") > 0) ? 1 : atNothing
  return lanes.every(
    lane =>
      lane.get("looks") >= looks && lane.get("followed") >= lane.get("toFollow") && lane.get("behind") <= CLOSE_ENOUGH
  )
}

/** Until every lane has read nearly all that there is. */
const followed = Effect.fnUntraced(function* (status: Status, atNothing: number) {
  const lanes = status.units.filter(({ kind }) => kind === "lane").map(({ metrics }) => metrics)
  const sum = (name: Parameters<(typeof lanes)[number]["get"]>[0]) => lanes.reduce((all, one) => all + one.get(name), 0)
  let said = performance.now()
  while (!areClose(lanes, atNothing)) {
    yield* Effect.sleep(LOOK_EVERY)
    if (performance.now() - said < REPORT_EVERY_MS) continue
    said = performance.now()
    yield* Effect.logInfo(
      `follows ${sum("followed")} of ${sum("toFollow")} partitions, ${sum("behind")} records behind`
    )
  }
  yield* Effect.logInfo(`follows ${sum("followed")} partitions, ${Math.round(sum("followedBytes") / 1e6)} MB of state`)
})

const ask = (url: string, init: RequestInit = {}): Effect.Effect<Response, TakeoverRefused> =>
  Effect.tryPromise({
    try: () => fetch(new URL("/takeover", url), { ...init, signal: AbortSignal.timeout(STOPS_WITHIN_MS) }),
    catch: cause => refused(`${url} does not answer (${messageOf(cause)}): is the job to be replaced running there?`)
  })

const refused = (message: string): TakeoverRefused => new TakeoverRefused({ message })

/** Until nobody answers any more. */
const gone = (url: string): Effect.Effect<void> =>
  Effect.promise(() =>
    fetch(new URL("/health/live", url), { signal: AbortSignal.timeout(1000) }).then(
      () => false,
      () => true
    )
  ).pipe(
    Effect.repeat({ until: away => away, schedule: Schedule.spaced("20 millis") }),
    Effect.timeoutOption(STOPS_WITHIN_MS),
    Effect.asVoid
  )
