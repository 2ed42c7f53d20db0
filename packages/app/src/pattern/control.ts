import { Clients } from "@headrace/engine"
import { Data, Effect, Schedule } from "effect"
import { Patterns } from "headrace"
import { canonicalSpec } from "./file.ts"
import { endsOf, readTopic, send } from "./topic.ts"

/** What was asked of a control topic did not happen, and why. */
export class PatternRefused extends Data.TaggedError("PatternRefused")<{ readonly message: string }> {}

/** A control topic, and where it is said what became of its records. */
export interface ControlPlace {
  readonly topic: string
  readonly replies: string
  readonly replication: number
  /** How long a reply is waited for, in ms. */
  readonly waitMs: number
}

/** The last word on each pattern, by id. */
const lastWords = Effect.fnUntraced(function* ({ topic }: ControlPlace) {
  const all = yield* readTopic(topic, Patterns.Control)
  return new Map(all.map(({ value }) => [value.id, value]))
})

/** The last word on each pattern, and what it came to; undefined where nobody has replied yet. */
export const listPatterns = Effect.fnUntraced(function* (place: ControlPlace) {
  const replies = yield* readTopic(place.replies, Patterns.Reply)
  const byRequest = new Map(replies.map(({ value }) => [value.request, value]))
  const words = yield* lastWords(place)
  return [...words.values()]
    .toSorted((a, b) => (a.id < b.id ? -1 : 1))
    .map(({ id, version, status, spec, request }) => ({ id, version, status, spec, reply: byRequest.get(request) }))
})

export type Listed = Effect.Success<ReturnType<typeof listPatterns>>[number]

/** Adds or changes a pattern: under the next version, unless it is what is there. Answers with the version. */
export const applyPattern = Effect.fnUntraced(function* (place: ControlPlace, id: string, spec: string) {
  yield* makeTopic(place)
  const before = (yield* lastWords(place)).get(id)
  const isSame =
    before !== undefined && before.status !== "removed" && canonicalSpec(before.spec) === canonicalSpec(spec)
  const version = isSame ? before.version : (before?.version ?? 0) + 1
  return yield* say(place, { id, version, status: "active", spec }, before)
})

/** Lets a pattern rest, go on or go. */
export const setStatus = Effect.fnUntraced(function* (
  place: ControlPlace,
  id: string,
  status: "active" | "paused" | "removed"
) {
  const before = (yield* lastWords(place)).get(id)
  if (before === undefined || before.status === "removed")
    return yield* new PatternRefused({ message: `${place.topic} has no pattern "${id}": see headrace pattern list` })
  const { version, spec } = before
  return yield* say(place, { id, version, status, spec: status === "removed" ? "" : spec }, before)
})

type Word = Omit<typeof Patterns.Control.Encoded, "request">

/** Says it, and waits for the reply. What is refused does not stay the last word: that is what a new job begins with. */
const say = Effect.fnUntraced(function* (place: ControlPlace, word: Word, before: Patterns.Control | undefined) {
  const reply = yield* ask(place, word)
  if (reply === undefined)
    return yield* new PatternRefused({
      message: `Nobody replied on ${place.replies} within ${place.waitMs / 1000} s: it stands on ${place.topic}, and is looked at when the job runs`
    })
  if (reply.accepted) return word.version
  yield* tell(place, before ?? { ...word, status: "removed", spec: "" })
  return yield* new PatternRefused({ message: `"${word.id}" was refused: ${reply.reason}` })
})

const ask = Effect.fnUntraced(function* (place: ControlPlace, word: Word) {
  const from = yield* endsOf(place.replies)
  const request = yield* tell(place, word)
  const replied = readTopic(place.replies, Patterns.Reply, from).pipe(
    Effect.map(all => all.find(({ value }) => value.request === request)?.value),
    Effect.repeat({ until: reply => reply !== undefined, schedule: Schedule.spaced("50 millis") })
  )
  return yield* Effect.timeoutOrElse(replied, {
    duration: place.waitMs,
    orElse: () => Effect.succeed(undefined)
  })
})

const tell = Effect.fnUntraced(function* ({ topic }: ControlPlace, { id, version, status, spec }: Word) {
  const request = crypto.randomUUID()
  yield* send(topic, Patterns.Control, id, new Patterns.Control({ id, version, status, spec, request }))
  return request
})

/** Who is first makes it: the job, or who has patterns for it. */
const makeTopic = ({ topic, replication }: ControlPlace) =>
  Effect.scoped(
    Effect.gen(function* () {
      const admin = yield* Effect.flatMap(Clients, clients => clients.admin)
      yield* admin.create([{ topic, partitions: 1, replication, config: Patterns.TOPIC_SETTINGS }])
    })
  )
