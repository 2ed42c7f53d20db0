import type { Schema } from "effect"
import { type Draft, type Spec, step } from "../draft.ts"
import { keyField } from "../keyField.ts"
import type { Stream } from "./stream.ts"

/** What `extend` asks for in place of a field that the record already has. */
export interface FieldExists<Name> {
  readonly "extend adds fields only: the record has this one already (use map to change it)": Name
}

type Fields<A> = Readonly<Record<string, (record: A) => unknown>>
type Extended<A, F extends Fields<A>> = A & { readonly [N in keyof F]: ReturnType<F[N]> }
type NewFields<A> = { readonly [N in keyof A]?: FieldExists<N> }

/** What a stream is made of, and its steps on one record at a time. */
export abstract class RecordSteps<out A extends object, out K, out E, out R> {
  declare readonly "~stream": { readonly record: A; readonly key: K; readonly error: E; readonly services: R }
  readonly name: string
  readonly last: Draft

  constructor(name: string, last: Draft) {
    this.name = name
    this.last = last
  }

  /** Keeps the records that the predicate (called once for each, on a view) says yes to. */
  filter<B extends A>(predicate: (record: A) => record is B): Stream<B, K, E, R>
  filter(predicate: (record: A) => boolean): Stream<A, K, E, R>
  filter(predicate: (record: A) => boolean): Stream<A, K, E, R> {
    return this.append(named("filter", predicate), { kind: "filter", predicate })
  }

  /** Makes another record of each. Called once for each, on a plain object. */
  map<B extends object>(map: (record: A) => B): Stream<B, K, E, R> {
    return this.append(named("map", map), { kind: "map", map })
  }

  /** Makes any number of records of each. Called once for each, on a plain object. */
  flatMap<B extends object>(flatMap: (record: A) => Iterable<B>): Stream<B, K, E, R> {
    return this.append(named("flatMap", flatMap), { kind: "flatMap", flatMap })
  }

  /**
   * Adds fields. The rest of the record stays as it is, undecoded, which makes this much cheaper than a `map` that
   * spreads it. Each function is called once for each record, on a view, and sees the record without the new fields.
   */
  extend<const F extends Fields<A>>(fields: F & NewFields<A>): Stream<Extended<A, F>, K, E, R> {
    return this.append(`extend:${Object.keys(fields).join(",")}`, { kind: "extend", fields })
  }

  /**
   * Says what the records are made of, and does nothing to them: needed behind `map` and the like, where records are kept
   * (joins, deduplication) or sent to another partition. What they have beside the schema is left out there.
   */
  as<S extends Schema.Codec<A, unknown>>(schema: S): Stream<A, K, E, R> {
    return this.append("as", { kind: "as", schema })
  }

  /** Says what belongs together in windows and keeps its order. Called once for each record, on a view. */
  keyBy<K2 extends string | number | bigint>(key: (record: A) => K2): Stream<A, K2, E, R> {
    const field = keyField(key)
    return this.append(field === undefined ? named("keyBy", key) : `keyBy:${field}`, { kind: "keyBy", key, field })
  }

  /** The stream that ends with this step. */
  protected abstract behind<B extends object, K2, E2, R2>(last: Draft): Stream<B, K2, E2, R2>

  protected append<B extends object, K2>(id: string, spec: Spec): Stream<B, K2, E, R> {
    return this.behind(step(this.last, id, spec))
  }
}

/** Steps are called after their function, if it has a plain name; else after what they do. */
export const named = (kind: string, fn: (record: never) => unknown): string =>
  /^[\w$]+$/.test(fn.name) ? `${kind}:${fn.name}` : kind
