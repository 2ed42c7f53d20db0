import { messageOf } from "@headrace/core"
import { SavepointError } from "@headrace/engine"
import { Effect, Schema } from "effect"
import type { SavepointRequest } from "./ending.ts"

const Answer = Schema.Struct({ id: Schema.String })
const Refusal = Schema.Struct({ error: Schema.String })

/** Asks a running job for a savepoint, over its HTTP address; answers with the id once it is written. */
export const requestSavepoint = (url: string, request: SavepointRequest): Effect.Effect<string, SavepointError> =>
  Effect.tryPromise({
    try: () =>
      fetch(new URL("/savepoints", url), {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ ...request, ...(request.id === undefined ? {} : { id: request.id }) })
      }).then(async response => ({ ok: response.ok, status: response.status, body: await response.text() })),
    catch: error =>
      new SavepointError({
        message: `No job answers at ${url} (${messageOf(error)}): give the address that headrace run logs for health and metrics`
      })
  }).pipe(Effect.flatMap(({ ok, status, body }) => read(url, ok, status, body)))

const read = (url: string, ok: boolean, status: number, body: string): Effect.Effect<string, SavepointError> => {
  const decoded = Schema.decodeUnknownOption(Schema.fromJsonString(Schema.Unknown))(body)
  const value = decoded._tag === "Some" ? decoded.value : undefined
  if (ok && Schema.is(Answer)(value)) return Effect.succeed(value.id)
  const why = Schema.is(Refusal)(value) ? value.error : `it answers ${status}: is it a job of Headrace?`
  return Effect.fail(new SavepointError({ message: `${url}: ${why}` }))
}
