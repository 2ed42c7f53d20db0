import type { AggregatingHandle, ListHandle, MapHandle, StateSpec, ValueHandle } from "@headrace/core"
import type { Duration, Schema } from "effect"
import type { Custom } from "./agg.ts"
import { milliseconds } from "./check.ts"
import type { Migration } from "./migration.ts"
import { jsonCodec } from "./stateCodec.ts"

export { type Migration, migration } from "./migration.ts"

/** One state of a `process` step, kept for each key, with the handle H that its functions get. */
export interface State<out H> {
  readonly spec: StateSpec
  readonly "~handle"?: H | undefined
}

/** The handles of states, by name. */
export type Handles<States> = { readonly [Name in keyof States]: States[Name] extends State<infer H> ? H : never }

/** How long entries live, and what becomes of those of earlier schemas. */
export interface StateOptions<A = never> {
  /**
   * How long an entry (a value, an element of a list, a key of a map) lives behind its last write, by event time.
   * Default: until it is cleared.
   */
  readonly ttl?: Duration.Input
  /**
   * What becomes of values of earlier schemas when a job starts from a savepoint. Where Avro's rules do (fields that are
   * gone, or have a default), none is needed.
   */
  readonly migrations?: readonly Migration<A>[]
}

type Stored<A> = Schema.Codec<A, unknown>

/**
 * One value.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { State } from "headrace"
 *
 * State.value(Schema.Number, { ttl: "1 hour" }).spec.ttlMs // => 3600000
 * ```
 */
export const value = <A>(schema: Stored<A>, options: StateOptions<NoInfer<A>> = {}): State<ValueHandle<A>> => ({
  spec: { kind: "value", ...stored(schema, options) }
})

/** Values in the order in which they are appended, one entry each: appending never rewrites the others. */
export const list = <A>(schema: Stored<A>, options: StateOptions<NoInfer<A>> = {}): State<ListHandle<A>> => ({
  spec: { kind: "list", ...stored(schema, options) }
})

/** Values by a key of their own, one entry each. The key's schema says its type; it is kept as it is. */
export const map = <K extends string | number | bigint, A>(
  _key: Stored<K>,
  schema: Stored<A>,
  options: StateOptions<NoInfer<A>> = {}
): State<MapHandle<K, A>> => ({ spec: { kind: "map", ...stored(schema, options) } })

/** What was added, folded: described as an `Agg.custom` is. */
export const aggregating = <S extends Schema.Codec<unknown, unknown>, A, B>(
  fold: Custom<S, A, B>,
  options: Pick<StateOptions, "ttl"> = {}
): State<AggregatingHandle<A, B>> => ({
  spec: {
    kind: "aggregating",
    ...stored(fold.state, { ...options, ...(fold.migrations && { migrations: fold.migrations }) }),
    init: fold.init,
    add: fold.add,
    result: fold.result
  }
})

const stored = <A>(schema: Stored<A>, { ttl, migrations }: StateOptions<A>) => ({
  codec: jsonCodec(schema, migrations),
  ttlMs: ttl === undefined ? undefined : milliseconds("the ttl of a state", ttl, 1)
})
