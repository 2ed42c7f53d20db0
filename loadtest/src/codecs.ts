import { Codecs, Registry, type RegistryError, type TopicDecoder, whileDown } from "@headrace/avro"
import type { RecordEncoder } from "@headrace/core"
import { Effect, Layer, Redacted, type Schema } from "effect"
import type { RegistryAccess } from "./options.ts"

const ATTEMPTS = 10

const registry = ({ url, auth }: RegistryAccess) =>
  Registry.layer({ url, auth: auth === undefined ? undefined : Redacted.make(auth) })

/** Runs something that needs codecs, with patience for a registry that is just starting. Rejects with its error. */
const withCodecs = <A, E>(
  access: RegistryAccess,
  use: (codecs: Codecs["Service"]) => Effect.Effect<A, E>
): Promise<A> =>
  Effect.runPromise(
    Effect.flatMap(Codecs, use).pipe(
      Effect.retry({ ...whileDown, times: ATTEMPTS }),
      Effect.provide(Codecs.layer.pipe(Layer.provide(registry(access))))
    )
  )

/** An encoder for a topic; registers the schema. */
export const openEncoder = (access: RegistryAccess, schema: Schema.Top, topic: string): Promise<RecordEncoder> =>
  withCodecs(access, codecs => codecs.encoder(schema, topic))

/** A decoder for a topic; call `prepared` before each record. */
export const openDecoder = (access: RegistryAccess, schema: Schema.Top, topic: string): Promise<TopicDecoder> =>
  withCodecs(access, codecs => codecs.decoder(schema, topic))

/** Learns the writer schema of a record that the decoder does not know. */
export const learn = (decoder: TopicDecoder, schemaId: number): Promise<void> =>
  Effect.runPromise(
    Effect.retry(decoder.prepare(schemaId), { ...whileDown, times: ATTEMPTS }) as Effect.Effect<void, RegistryError>
  )
