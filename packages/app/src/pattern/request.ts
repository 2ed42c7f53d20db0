import { messageOf } from "@headrace/core"
import { Effect, Schema } from "effect"
import { PatternRefused } from "./control.ts"

/** What a pattern has under way in a key, as a running job tells it. */
const Open = Schema.Struct({
  node: Schema.String,
  topic: Schema.String,
  partition: Schema.Int,
  pattern: Schema.String,
  waitsFor: Schema.Array(Schema.String),
  until: Schema.NullOr(Schema.Number),
  ignored: Schema.optionalKey(Schema.Int),
  path: Schema.Array(
    Schema.Struct({
      step: Schema.String,
      at: Schema.Number,
      ignored: Schema.optionalKey(Schema.Int),
      event: Schema.Unknown
    })
  )
})
export type Open = typeof Open.Type

const Answer = Schema.fromJsonString(Schema.Union([Schema.Array(Open), Schema.Struct({ error: Schema.String })]))

/** Asks a running job, over its HTTP address. */
export const requestOpen = Effect.fnUntraced(function* (url: string, key: string) {
  const text = yield* Effect.tryPromise({
    try: () => fetch(new URL(`/patterns/open?key=${encodeURIComponent(key)}`, url)).then(response => response.text()),
    catch: error =>
      new PatternRefused({
        message: `No job answers at ${url} (${messageOf(error)}): give the address that headrace run logs for health and metrics`
      })
  })
  const answer = yield* Schema.decodeUnknownEffect(Answer)(text).pipe(
    Effect.mapError(() => new PatternRefused({ message: `${url} does not answer as a job of Headrace does` }))
  )
  if ("error" in answer) return yield* new PatternRefused({ message: `${url}: ${answer.error}` })
  return answer
})
