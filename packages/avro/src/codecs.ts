import { DecodeError, type RecordDecoder, type RecordEncoder } from "@headrace/core"
import { Context, Effect, Layer, type Schema } from "effect"
import { makeDecoder } from "./decoder.ts"
import { DeriveError, derive } from "./derive.ts"
import { makeEncoder } from "./encoder.ts"
import { Registry, type RegistryError, valueSubject } from "./registry.ts"
import { published } from "./schema.ts"

/** A decoder that fetches the writer schemas it meets. */
export interface TopicDecoder extends RecordDecoder {
  /**
   * Fetches and learns a writer schema; from then on `knows(schemaId)`. Called when a record carries an id that is not
   * known. Fails with DecodeError Incompatible where this topic's schema cannot read it; retry as the registry says.
   */
  readonly prepare: (schemaId: number) => Effect.Effect<void, RegistryError | DecodeError>
}

/** The decoders and encoders of a lane. Each call compiles a new one, with a view of its own. */
export class Codecs extends Context.Service<
  Codecs,
  {
    readonly decoder: (schema: Schema.Top, topic: string) => Effect.Effect<TopicDecoder, DeriveError | DecodeError>
    /** Registers the schema as `<topic>-value` first. */
    readonly encoder: (
      schema: Schema.Top,
      topic: string
    ) => Effect.Effect<RecordEncoder, RegistryError | DeriveError | DecodeError>
  }
>()("@headrace/avro/Codecs") {
  static readonly layer: Layer.Layer<Codecs, never, Registry> = Layer.effect(
    Codecs,
    Effect.gen(function* () {
      const registry = yield* Registry
      return Codecs.of({
        decoder: (schema, topic) => decoderOf(registry, schema, topic),
        encoder: (schema, topic) => encoderOf(registry, schema, topic)
      })
    })
  )
}

const decoderOf = Effect.fnUntraced(function* (registry: Registry["Service"], schema: Schema.Top, topic: string) {
  const { decoder, learn } = yield* refusing(() => makeDecoder(derive(schema, topic)))
  const prepare = Effect.fnUntraced(function* (schemaId: number) {
    if (decoder.knows(schemaId)) return
    const writer = yield* registry.byId(schemaId)
    yield* refusing(() => learn(schemaId, writer)).pipe(
      Effect.catchTag("DeriveError", Effect.die),
      Effect.mapError(({ reason, message }) => new DecodeError(reason, `${topic}: schema ${schemaId}: ${message}`))
    )
  })
  return Object.assign(decoder, { prepare })
})

const encoderOf = Effect.fnUntraced(function* (registry: Registry["Service"], schema: Schema.Top, topic: string) {
  const json = yield* refusing(() => derive(schema, topic))
  const id = yield* registry.register(valueSubject(topic), published(json))
  return yield* refusing(() => makeEncoder(json, id))
})

/** Schema errors are values here; anything else is a mistake of ours. */
const refusing = <A>(run: () => A): Effect.Effect<A, DeriveError | DecodeError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      if (error instanceof DeriveError || error instanceof DecodeError) return Effect.fail(error)
      throw error
    }
  })
