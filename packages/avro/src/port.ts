import { CodecError, Codecs as CodecsPort } from "@headrace/engine"
import { Effect, Layer } from "effect"
import { Codecs } from "./codecs.ts"
import { Registry, type RegistryOptions, whileDown } from "./registry.ts"

/** The engine's codecs: Avro, with schemas from a registry. */
export const avroCodecs = (options: RegistryOptions): Layer.Layer<CodecsPort> =>
  avroCodecsOver.pipe(Layer.provide(Registry.layer(options)))

/** The same, over whatever Registry there is. */
export const avroCodecsOver: Layer.Layer<CodecsPort, never, Registry> = Layer.effect(
  CodecsPort,
  Effect.gen(function* () {
    const codecs = yield* Codecs
    return CodecsPort.of({
      decoder: (schema, topic) =>
        codecs.decoder(schema, topic).pipe(
          Effect.map(decoder => {
            const { prepare } = decoder
            return Object.assign(decoder, { prepare: (id: number) => Effect.mapError(prepare(id), codecError) })
          }),
          Effect.mapError(codecError)
        ),
      encoder: (schema, topic) => Effect.mapError(codecs.encoder(schema, topic), codecError)
    })
  })
).pipe(Layer.provide(Codecs.layer))

const codecError = (cause: Error): CodecError =>
  new CodecError({ message: cause.message, waiting: whileDown.while(cause), cause })
