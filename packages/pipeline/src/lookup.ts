import { Cache, Duration, Effect, Exit, Request, RequestResolver } from "effect"
import type { MapEffectOptions } from "./attempt.ts"
import { milliseconds } from "./check.ts"
import { check } from "./error.ts"

/** What is looked up, and how. K: what it is looked up by; V: what is found; E and R: those of the finding. */
export interface LookupOptions<A, K, V, E, R, E2 = never, SE = never, SR = never>
  extends MapEffectOptions<A, E, E2, SE, SR> {
  /** Called once for each record. */
  readonly key: (record: A) => K
  /**
   * Finds several at once: each key stands there once, and there are at most as many as `batch.size`. One without an answer
   * is not there, which is remembered as well.
   */
  readonly find: (keys: readonly K[]) => Effect.Effect<ReadonlyMap<K, V>, E, R>
  /** What was found is kept by each lane, and so is what was not; what failed is not. Default: 10,000 keys, for a minute. */
  readonly cache?: { readonly capacity?: number; readonly ttl?: Duration.Input }
  /** How many keys are looked up together at most, and how long the first waits for others. Default: 100, a millisecond. */
  readonly batch?: { readonly size?: number; readonly wait?: Duration.Input }
}

type Find<K, V, E> = Request.Request<V | undefined, E> & { readonly key: K }
type AnyOptions = Pick<LookupOptions<never, unknown, unknown, unknown, unknown>, "cache" | "batch"> & {
  readonly key: (record: never) => unknown
  readonly find: (keys: readonly never[]) => Effect.Effect<ReadonlyMap<unknown, unknown>, unknown, unknown>
}

const CAPACITY = 10_000
const TTL = "1 minute"
const BATCH = 100
const WAIT = "1 millis"

/** The asynchronous step of a lookup: each record's key through the cache, and what that lacks in batches. */
export const lookupStep = (
  options: AnyOptions,
  combine: (record: never, found: never) => object
): ((record: never) => Effect.Effect<object, unknown, unknown>) => {
  const capacity = positive("the capacity of a lookup's cache", options.cache?.capacity ?? CAPACITY)
  const ttl = milliseconds("the ttl of a lookup's cache", options.cache?.ttl ?? TTL, 0)
  const resolver = resolverOf(options)
  const find = Request.of<Find<unknown, unknown, unknown>>()
  const making = Cache.makeWith((key: unknown) => Effect.request(find({ key }), resolver), {
    capacity,
    timeToLive: exit => (Exit.isSuccess(exit) ? ttl : 0),
    requireServicesAt: "lookup"
  })
  // One for each lane: a lane imports the pipeline for itself.
  let made: Effect.Success<typeof making> | undefined
  const cache = Effect.suspend(() =>
    made === undefined ? Effect.tap(making, one => Effect.sync(() => (made ??= one))) : Effect.succeed(made)
  )
  return record =>
    Effect.map(
      Effect.flatMap(cache, () => Cache.get(made!, options.key(record))),
      found => combine(record, found as never)
    )
}

/** Each key is asked for once, however many records wait for it. */
const resolverOf = ({ find, batch }: AnyOptions) => {
  const size = positive("the size of a lookup's batch", batch?.size ?? BATCH)
  const wait = milliseconds("the wait of a lookup's batch", batch?.wait ?? WAIT, 0)
  const resolver = RequestResolver.make<Find<unknown, unknown, unknown>>(entries => {
    const keys = [...new Set(entries.map(({ request }) => request.key))]
    return Effect.matchCause(find(keys as never[]) as Effect.Effect<ReadonlyMap<unknown, unknown>, unknown>, {
      onFailure: cause => {
        for (const entry of entries) entry.completeUnsafe(Exit.failCause(cause))
      },
      onSuccess: found => {
        for (const entry of entries) entry.completeUnsafe(Exit.succeed(found.get(entry.request.key)))
      }
    })
  })
  return resolver.pipe(RequestResolver.batchN(size), RequestResolver.setDelay(Duration.millis(wait)))
}

const positive = (what: string, value: number): number => {
  check(Number.isSafeInteger(value) && value > 0, () => `${what} is ${value}: make it a whole number, at least 1`)
  return value
}
