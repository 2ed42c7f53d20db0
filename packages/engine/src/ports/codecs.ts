import type { RecordDecoder, RecordEncoder } from "@headrace/core"
import { Context, type Effect, Schema } from "effect"

/** A schema or the registry is in the way. `waiting`: the registry does not answer; the same call may help later. */
export class CodecError extends Schema.TaggedError<CodecError>()("CodecError", {
  message: Schema.String,
  waiting: Schema.Boolean,
  cause: Schema.Defect()
}) {}

export interface PreparedDecoder extends RecordDecoder {
  /**
   * Fetches a writer schema and compiles it in. One that does not exist or does not fit stays unknown: `view` then says
   * so for each record that carries it.
   */
  readonly prepare: (schemaId: number) => Effect.Effect<void, CodecError>
}

/** The codecs of a lane's topics: Avro and the registry, or another format. */
export class Codecs extends Context.Service<
  Codecs,
  {
    readonly decoder: (schema: Schema.Top, topic: string) => Effect.Effect<PreparedDecoder, CodecError>
    readonly encoder: (schema: Schema.Top, topic: string) => Effect.Effect<RecordEncoder, CodecError>
  }
>()("@headrace/engine/Codecs") {}
