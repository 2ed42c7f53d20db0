import { Effect, Result } from "effect"
import { HttpRouter, type HttpServerRequest, HttpServerResponse } from "effect/http"
import type { Questions } from "./questions.ts"
import { plain } from "./show.ts"

/** `GET /patterns/open?key=…` answers with what patterns have under way in a key, as far as this process has its partition. */
export const patternRoute = (questions: Questions) =>
  HttpRouter.add("GET", "/patterns/open", request => answer(questions, request))

const answer = Effect.fnUntraced(function* (questions: Questions, request: HttpServerRequest.HttpServerRequest) {
  const key = new URL(request.url, "http://localhost").searchParams.get("key")
  if (key === null) return HttpServerResponse.jsonUnsafe({ error: "give a key: /patterns/open?key=…" }, { status: 400 })
  const found = yield* Effect.result(questions.openMatches(key))
  if (Result.isFailure(found)) return HttpServerResponse.jsonUnsafe({ error: found.failure.message }, { status: 503 })
  return HttpServerResponse.text(JSON.stringify(found.success, plain), { contentType: "application/json" })
})
