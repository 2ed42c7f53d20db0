import type { StoredMigration } from "@headrace/core"
import type { Schema } from "effect"
import { jsonCodec } from "./stateCodec.ts"

/** What becomes of state that was written with an earlier schema, when a job starts from a savepoint. */
export interface Migration<out A> {
  readonly stored: StoredMigration
  readonly "~migrated"?: A | undefined
}

/**
 * Takes values of an earlier schema to the present one: for a state's `migrations`. `migrate` is called once for each
 * value when a job is restored from a savepoint, and never otherwise.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { State } from "headrace"
 *
 * const Before = Schema.Number
 * const Now = Schema.Struct({ cents: Schema.Number, currency: Schema.String })
 * const inEuros = State.migration(Before, cents => ({ cents, currency: "EUR" }))
 * State.value(Now, { migrations: [inEuros] }).spec.codec.migrations?.length // => 1
 * ```
 */
export const migration = <B, A>(before: Schema.Codec<B, unknown>, migrate: (before: B) => A): Migration<A> => ({
  stored: { from: jsonCodec(before), migrate }
})
