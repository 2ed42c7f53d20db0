import { isSavepointId } from "@headrace/engine"
import { Effect, Result, Schema } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Savepoints } from "./ending.ts"

const Body = Schema.fromJsonString(
  Schema.Struct({
    id: Schema.optionalKey(Schema.String),
    stop: Schema.optionalKey(Schema.Boolean),
    drain: Schema.optionalKey(Schema.Boolean)
  })
)

/**
 * `POST /savepoints` with JSON `{ id?, stop?, drain? }` answers 201 with the manifest, or 409 with `{ error }`. Only as
 * `application/json`: a page in somebody's browser cannot send that to another origin unasked.
 */
export const savepointRoute = (savepoints: Savepoints) =>
  HttpRouter.add("POST", "/savepoints", request => answer(savepoints, request))

const answer = Effect.fnUntraced(function* (savepoints: Savepoints, request: HttpServerRequest.HttpServerRequest) {
  if (!request.headers["content-type"]?.startsWith("application/json")) return refused(415, "send application/json")
  const body = Schema.decodeUnknownResult(Body)(yield* Effect.orElseSucceed(request.text, () => ""))
  if (Result.isFailure(body))
    return refused(400, 'send { "id": "…", "stop": false, "drain": false }, each of it optional')
  const { id, stop = false, drain = false } = body.success
  if (drain && !stop) return refused(400, "drain ends the job: it needs stop")
  if (id !== undefined && !isSavepointId(id)) return refused(400, `"${id}" cannot be a savepoint's id`)
  const taken = yield* Effect.result(savepoints.take({ id, stop, drain }))
  return Result.isSuccess(taken)
    ? HttpServerResponse.jsonUnsafe(taken.success, { status: 201 })
    : refused(409, taken.failure.message)
})

const refused = (status: number, error: string) => HttpServerResponse.jsonUnsafe({ error }, { status })
