import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { ByteWriter } from "@headrace/core"
import { freePorts, type Registry as Server, startRegistry } from "@headrace/dev"
import { Effect, Exit, Layer, Schema } from "effect"
import { type AvroJson, Codecs, Registry, type RegistryError } from "../src/index.ts"

let server: Server
beforeAll(async () => {
  server = await startRegistry()
})
afterAll(() => server?.stop())

const at = (url: string) => Codecs.layer.pipe(Layer.provideMerge(Registry.layer({ url })))

const run = <A, E>(use: Effect.Effect<A, E, Registry | Codecs>): Promise<A> =>
  Effect.runPromise(use.pipe(Effect.provide(at(server.url))))

const refused = <A, R>(use: Effect.Effect<A, RegistryError, R>) => Effect.flip(use)

const record = (...fields: readonly object[]): AvroJson => ({ type: "record", name: "Payment", fields })
const V1 = record({ name: "id", type: "string" })
const V2 = record({ name: "id", type: "string" }, { name: "cents", type: "long", default: 0 })
const BROKEN = record({ name: "id", type: "string" }, { name: "cents", type: "long" })

describe("against a real registry", () => {
  test("what is registered is found by its id, and the same again has the same id", async () => {
    const subject = "found-value"
    const id = await run(Effect.flatMap(Registry, registry => registry.register(subject, V1)))
    const again = await run(Effect.flatMap(Registry, registry => registry.register(subject, V1)))
    expect(again).toBe(id)
    expect(await run(Effect.flatMap(Registry, registry => registry.byId(id)))).toEqual(V1)
    expect(await run(Effect.flatMap(Registry, registry => registry.latest(subject)))).toEqual({
      id,
      version: 1,
      schema: V1
    })
  })

  test("evolution is allowed or refused by the subject's rule", async () => {
    const subject = "evolved-value"
    await run(Effect.flatMap(Registry, registry => registry.register(subject, V1)))
    const compatible = (schema: AvroJson) =>
      run(Effect.flatMap(Registry, registry => registry.compatible(subject, schema)))
    expect([await compatible(V2), await compatible(BROKEN)]).toEqual([true, false])
    const error = await run(refused(Effect.flatMap(Registry, registry => registry.register(subject, BROKEN))))
    expect([error.reason, error.subject]).toEqual(["Incompatible", subject])
    await run(Effect.flatMap(Registry, registry => registry.register(subject, V2)))
    expect((await run(Effect.flatMap(Registry, registry => registry.latest(subject)))).version).toBe(2)
  })

  test("an id and a subject that nobody registered are NotFound", async () => {
    const byId = await run(refused(Effect.flatMap(Registry, registry => registry.byId(987_654))))
    expect([byId.reason, byId.id]).toEqual(["NotFound", 987_654])
    const latest = await run(refused(Effect.flatMap(Registry, registry => registry.latest("nobody-value"))))
    expect([latest.reason, latest.subject]).toEqual(["NotFound", "nobody-value"])
    expect(await run(Effect.flatMap(Registry, registry => registry.compatible("nobody-value", V1)))).toBe(true)
  })

  test("a schema that is none is Invalid", async () => {
    const error = await run(
      refused(Effect.flatMap(Registry, registry => registry.register("none-value", { type: "nonsense" })))
    )
    expect(error.reason).toBe("Invalid")
  })

  test("a registry that is down is Unreachable, and says where it was looked for", async () => {
    const [port] = await freePorts(1)
    const down = Effect.flatMap(Registry, registry => registry.byId(1)).pipe(
      Effect.provide(at(`http://127.0.0.1:${port}/apis/ccompat/v7`))
    )
    const error = await Effect.runPromise(Effect.flip(down))
    expect(error.reason).toBe("Unreachable")
    expect(error.message).toContain(`http://127.0.0.1:${port}`)
  })
})

const Payment = Schema.Struct({ id: Schema.String, cents: Schema.Int, note: Schema.optionalKey(Schema.String) })
const Older = Schema.Struct({ id: Schema.String, cents: Schema.Int }).annotate({ identifier: "payments" })

describe("the codecs of a topic", () => {
  test("write what another process reads, after it asked for the schema once", async () => {
    const program = Effect.gen(function* () {
      const codecs = yield* Codecs
      const encoder = yield* codecs.encoder(Payment, "payments")
      const decoder = yield* codecs.decoder(Older, "payments")
      const out = new ByteWriter()
      encoder.encode({ id: "p-1", cents: 250, note: "hei" }, out)
      const id = decoder.schemaId(out.bytes, 0, out.length)
      const before = decoder.knows(id)
      yield* decoder.prepare(id)
      decoder.view(out.bytes, 0, out.length)
      return { before, after: decoder.knows(id), read: decoder.materialise() }
    })
    expect(await run(program)).toEqual({ before: false, after: true, read: { id: "p-1", cents: 250 } })
  })

  test("refuse a writer that the pipeline's schema cannot read, by name", async () => {
    const Wanting = Schema.Struct({ id: Schema.String, merchant: Schema.String })
    const program = Effect.gen(function* () {
      const codecs = yield* Codecs
      const id = yield* Effect.flatMap(Registry, registry =>
        registry.register("wanting-value", { ...(V1 as object), name: "wanting" })
      )
      const decoder = yield* codecs.decoder(Wanting, "wanting")
      return yield* Effect.exit(decoder.prepare(id))
    })
    const exit = await run(program)
    expect(Exit.isFailure(exit) && String(exit.cause)).toContain("field merchant: the writer has no such field")
  })
})
