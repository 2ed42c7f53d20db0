import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer, Schema } from "effect"
import { HttpRouter, HttpServer, HttpServerResponse } from "effect/http"
import { renderMetrics } from "./metrics.ts"
import type { Savepoints } from "./savepoint/ending.ts"
import { savepointRoute } from "./savepoint/route.ts"
import { statesOf } from "./states.ts"
import type { Status } from "./status.ts"

/** The HTTP server cannot listen. */
export class ServerError extends Schema.TaggedError<ServerError>()("ServerError", { message: Schema.String }) {}

/**
 * Serves health and metrics for as long as the scope lives, and returns the port. `/health` and `/health/ready` answer
 * 200 while every unit runs, else 503 with the reasons; `/health/live` answers 200 while the process does, and
 * names the units that are stalled: they are the watchdog's business. `/status` answers 200 in any case, and has the
 * state of each operator and partition beside it. `POST /savepoints` takes a savepoint.
 */
export const serve = Effect.fnUntraced(function* (status: Status, savepoints: Savepoints, host: string, port: number) {
  const server = NodeHttpServer.layer(createServer, { host, port, gracefulShutdownTimeout: 500 })
  const layer = HttpRouter.serve(Layer.merge(routes(status), savepointRoute(savepoints)), {
    disableLogger: true,
    disableListenLog: true
  })
  const context = yield* Layer.build(Layer.provideMerge(layer, server)).pipe(
    Effect.mapError(error => new ServerError({ message: explain(host, port, error.cause) }))
  )
  return yield* HttpServer.HttpServer.pipe(Effect.map(portOf), Effect.provide(context))
})

const portOf = ({ address }: HttpServer.HttpServer["Service"]): number => ("port" in address ? address.port : 0)

const routes = (status: Status) =>
  Layer.mergeAll(
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
      Effect.sync(() => HttpServerResponse.text(["live", ...status.stalls(), ""].join("\n")))
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

const PROMETHEUS = { contentType: "text/plain; version=0.0.4" }

const overview = (status: Status) => {
  const reasons = status.reasons()
  const units = status.units.map(unit => ({ name: unit.name, phase: status.phase(unit) }))
  return { app: status.app, live: true, ready: reasons.length === 0, reasons, units }
}

const health = (status: Status) => {
  const body = overview(status)
  return HttpServerResponse.jsonUnsafe(body, { status: body.ready ? 200 : 503 })
}

const explain = (host: string, port: number, cause: unknown): string => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined
  if (code === "EADDRINUSE") return `port ${port} on ${host} is in use; choose another by --port (0: any free one)`
  if (code === "EACCES") return `port ${port} on ${host} is not allowed to this user; choose one above 1023 by --port`
  return `cannot listen on ${host}:${port} (--host, --port): ${cause instanceof Error ? cause.message : String(cause)}`
}
