import { describe, expect, test } from "bun:test"
import { Effect, Fiber, Layer, Redacted, Result } from "effect"
import { HttpClient, type HttpClientRequest, HttpClientResponse } from "effect/http"
import { Registry, type RegistryError, type RegistryOptions, whileDown } from "../src/index.ts"

/** A registry that answers what `respond` says; it notes what it was asked. */
const serve = (respond: (path: string, asked: number) => Response | Error, options: Partial<RegistryOptions> = {}) => {
  const requests: HttpClientRequest.HttpClientRequest[] = []
  const client = HttpClient.make((request, url) => {
    requests.push(request)
    const answer = respond(url.pathname, requests.length)
    if (answer instanceof Error) return Effect.die(answer)
    return Effect.delay(Effect.succeed(HttpClientResponse.fromWeb(request, answer)), "1 millis")
  })
  const layer = Registry.layerOver({ url: "http://registry/api/", ...options }).pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, client))
  )
  const run = <A, E>(use: (registry: Registry["Service"]) => Effect.Effect<A, E>) =>
    Effect.runPromise(Effect.flatMap(Registry, use).pipe(Effect.provide(layer)))
  return { requests, run }
}

const json = (status: number, body: unknown) => new Response(JSON.stringify(body), { status })
const text = { schema: '"string"' }

const errorOf = <A>(effect: Effect.Effect<A, RegistryError>): Effect.Effect<RegistryError> =>
  Effect.flip(effect).pipe(Effect.catch(() => Effect.die("it succeeded")))

describe("the registry's client", () => {
  test("asks once for an id, however many ask at the same time", async () => {
    const { requests, run } = serve(() => json(200, text))
    const found = await run(registry =>
      Effect.gen(function* () {
        const together = yield* Effect.all(
          Array.from({ length: 20 }, () => registry.byId(7)),
          { concurrency: "unbounded" }
        )
        return [...together, yield* registry.byId(7)]
      })
    )
    expect(found).toEqual(new Array(21).fill("string"))
    expect(requests.map(request => request.url)).toEqual(["http://registry/api/schemas/ids/7"])
  })

  test("asks again after an error", async () => {
    const { requests, run } = serve((_, asked) => (asked === 1 ? json(404, { message: "no" }) : json(200, text)))
    const found = await run(registry => Effect.andThen(errorOf(registry.byId(7)), registry.byId(7)))
    expect(found).toBe("string")
    expect(requests.length).toBe(2)
  })

  test("registers a schema once for a subject", async () => {
    const { requests, run } = serve(() => json(200, { id: 3 }))
    const ids = await run(registry =>
      Effect.all([
        registry.register("a b-value", "string"),
        registry.register("a b-value", "string"),
        registry.register("c-value", "string")
      ])
    )
    expect(ids).toEqual([3, 3, 3])
    expect(requests.map(request => request.url)).toEqual([
      "http://registry/api/subjects/a%20b-value/versions",
      "http://registry/api/subjects/c-value/versions"
    ])
  })

  test.each([
    [401, "Unauthorized"],
    [403, "Unauthorized"],
    [404, "NotFound"],
    [409, "Incompatible"],
    [422, "Invalid"],
    [429, "ServerError"],
    [500, "ServerError"],
    [503, "ServerError"]
  ] as const)("HTTP %d is %s, with what the registry said", async (status, reason) => {
    const { run } = serve(() => json(status, { error_code: 1, message: "so it is" }))
    const error = await run(registry => errorOf(registry.register("t-value", "string")))
    expect(error.reason).toBe(reason)
    expect(error.subject).toBe("t-value")
    expect(error.message).toContain(`HTTP ${status}: so it is`)
  })

  test.each([
    ["a page", new Response("<html>")],
    ["another shape", json(200, { nothing: 1 })],
    ["Protobuf", json(200, { ...text, schemaType: "PROTOBUF" })],
    ["references", json(200, { ...text, references: [{ name: "x" }] })],
    ["half a schema", json(200, { schema: "{" })]
  ])("%s for an answer is Invalid", async (_, answer) => {
    const { run } = serve(() => answer)
    const error = await run(registry => errorOf(registry.byId(5)))
    expect([error.reason, error.id]).toEqual(["Invalid", 5])
  })

  test("sends the credentials, also with a colon in the password, and never shows them", async () => {
    const { requests, run } = serve(() => json(401, {}), { auth: Redacted.make("me:pass:word") })
    const error = await run(registry => errorOf(registry.byId(5)))
    expect(requests[0]!.headers.authorization).toBe(`Basic ${btoa("me:pass:word")}`)
    expect(error.message).not.toContain("pass")
  })

  test("a subject that is new is compatible with everything", async () => {
    const { run } = serve(() => json(404, { error_code: 40401, message: "Subject not found" }))
    expect(await run(registry => registry.compatible("t-value", "string"))).toBe(true)
  })

  test("what may pass is tried again, what may not is not", async () => {
    const answers = [json(503, {}), json(500, {}), json(404, {})]
    const { requests, run } = serve((_, asked) => answers[asked - 1]!)
    const result = await run(registry => Effect.result(Effect.retry(registry.byId(5), whileDown)))
    expect(Result.isFailure(result) && result.failure.reason).toBe("NotFound")
    expect(requests.length).toBe(3)
  })

  test("an interrupted lookup does not spoil the next one", async () => {
    const { run } = serve(() => json(200, text))
    const found = await run(registry =>
      Effect.gen(function* () {
        const first = yield* Effect.forkChild(registry.byId(5))
        yield* Effect.yieldNow
        yield* Fiber.interrupt(first)
        return yield* registry.byId(5)
      })
    )
    expect(found).toBe("string")
  })
})
