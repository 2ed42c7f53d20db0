import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { messageOf } from "@headrace/core"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerRequest, HttpServerResponse } from "effect/http"
import { type Handover, Identity, obstacle } from "./handover.ts"
import { renderMetrics } from "./metrics.ts"
import type { Questions } from "./pattern/questions.ts"
import { patternRoute } from "./pattern/route.ts"
import type { Savepoints } from "./savepoint/ending.ts"
import { savepointRoute } from "./savepoint/route.ts"
import { statesOf } from "./states.ts"
import type { Status } from "./status.ts"

/** The HTTP server cannot listen. */
export class ServerError extends Schema.TaggedError<ServerError>()("ServerError", { message: Schema.String }) {}

/**
 * Serves health and metrics for as long as the scope lives, and returns the port. `/health` and `/health/ready` answer
 * 200 while every unit runs, else 503 with the reasons, and name in `warnings` what does not keep the job from processing; `/health/live` answers 200 while the process does, and
 * names the units that are stalled: they are the watchdog's business. `/status` answers 200 in any case, and has the
 * state of each operator and partition beside it. `POST /savepoints` takes a savepoint. `GET /patterns/open?key=…`
 * says what patterns have under way in a key. `POST /takeover` stops the job in
 * favour of the process that asks, and answers when the lanes have left.
 */
export const serve = Effect.fnUntraced(function* (
  status: Status,
  savepoints: Savepoints,
  handover: Handover,
  questions: Questions,
  host: string,
  port: number
) {
  const server = NodeHttpServer.layer(createServer, { host, port, gracefulShutdownTimeout: 500 })
  const layer = HttpRouter.serve(
    Layer.mergeAll(routes(status, handover), savepointRoute(savepoints), patternRoute(questions)),
    {
      disableLogger: true,
      disableListenLog: true
    }
  )
  const context = yield* Layer.build(Layer.provideMerge(layer, server)).pipe(
    Effect.mapError(error => new ServerError({ message: explain(host, port, error.cause) }))
  )
  return yield* HttpServer.HttpServer.pipe(Effect.map(portOf), Effect.provide(context))
})

const portOf = ({ address }: HttpServer.HttpServer["Service"]): number => ("port" in address ? address.port : 0)

const routes = (status: Status, handover: Handover) =>
  Layer.mergeAll(
    HttpRouter.add(
      "GET",
      "/takeover",
      Effect.sync(() => HttpServerResponse.jsonUnsafe(handover.identity))
    ),
    HttpRouter.add("POST", "/takeover", handOver(handover)),
    HttpRouter.add(
      "GET",
      "/health",
      Effect.sync(() => health(status))
    ),
    HttpRouter.add(
      "GET",
      "/health/ready",
      Effect.sync(() => health(status))
    ),
    HttpRouter.add(
      "GET",
      "/health/live",
      Effect.sync(() => HttpServerResponse.text(["live", ...status.stalls(), ...status.warnings(), ""].join("\n")))
    ),
    HttpRouter.add(
      "GET",
      "/status",
      Effect.sync(() => HttpServerResponse.jsonUnsafe({ ...overview(status), state: statesOf(status) }))
    ),
    HttpRouter.add(
      "GET",
      "/metrics",
      Effect.map(renderMetrics(status), text => HttpServerResponse.text(text, PROMETHEUS))
    )
  )

/** JSON only: what a page in somebody's browser may post elsewhere unasked is refused. */
const handOver = Effect.fnUntraced(
  function* (handover: Handover) {
    const request = yield* HttpServerRequest.HttpServerRequest
    if (!request.headers["content-type"]?.startsWith("application/json"))
      return HttpServerResponse.text("expected JSON\n", { status: 415 })
    const successor = yield* HttpServerRequest.schemaBodyJson(Identity)
    const why = obstacle(handover.identity, successor)
    if (why !== undefined) return HttpServerResponse.text(`${why}\n`, { status: 409 })
    yield* handover.request
    return HttpServerResponse.text("handed over\n")
  },
  Effect.catchTag("SchemaError", error =>
    Effect.succeed(HttpServerResponse.text(`${error.message}\n`, { status: 400 }))
  )
)

const PROMETHEUS = { contentType: "text/plain; version=0.0.4" }

const overview = (status: Status) => {
  const reasons = status.reasons()
  const units = status.units.map(unit => ({ name: unit.name, phase: status.phase(unit) }))
  return { app: status.app, live: true, ready: reasons.length === 0, reasons, warnings: status.warnings(), units }
}

const health = (status: Status) => {
  const body = overview(status)
  return HttpServerResponse.jsonUnsafe(body, { status: body.ready ? 200 : 503 })
}

const explain = (host: string, port: number, cause: unknown): string => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  if (code === "EADDRINUSE") return `port ${port} on ${host} is in use; choose another by --port (0: any free one)`
  if (code === "EACCES") return `port ${port} on ${host} is not allowed to this user; choose one above 1023 by --port`
  return `cannot listen on ${host}:${port} (--host, --port): ${messageOf(cause)}`
}
