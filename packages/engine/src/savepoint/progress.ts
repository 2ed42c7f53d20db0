import { Effect, Stream } from "effect"
import { type BlobError, Blobs } from "../ports/blobs.ts"
import { LogError } from "../ports/log.ts"
import { storeError } from "../recovery/checkpoint.ts"

const prefix = (app: string): string => `${app}/restore/`
const BEGUN = ".begun"
const DONE = ".done"
const nothing = Stream.make(new TextEncoder().encode("{}\n"))

/** The savepoint whose restore into this app has begun and not ended. */
export const restoreBegun = (app: string): Effect.Effect<string | undefined, BlobError, Blobs> =>
  Effect.gen(function* () {
    const names = (yield* (yield* Blobs).list(prefix(app))).map(({ name }) => name)
    return names.find(name => name.endsWith(BEGUN))?.slice(prefix(app).length, -BEGUN.length)
  })

/** Whether this app's state goes on from this savepoint. */
export const restoredFrom = (app: string, id: string): Effect.Effect<boolean, BlobError, Blobs> =>
  Effect.gen(function* () {
    const names = (yield* (yield* Blobs).list(prefix(app))).map(({ name }) => name)
    return names.includes(prefix(app) + id + DONE) && !names.some(name => name.endsWith(BEGUN))
  })

/** From now on no lane of the app starts. */
export const beginRestore = (app: string, id: string): Effect.Effect<void, BlobError, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    yield* blobs.put(prefix(app) + id + BEGUN, nothing)
    for (const { name } of yield* blobs.list(prefix(app)))
      if (name !== prefix(app) + id + BEGUN) yield* blobs.remove(name)
  })

export const endRestore = (app: string, id: string): Effect.Effect<void, BlobError, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    yield* blobs.put(prefix(app) + id + DONE, nothing)
    yield* blobs.remove(prefix(app) + id + BEGUN)
  })

/** Before a lane starts: half of a savepoint is no state. */
export const refuseHalfRestored = (app: string): Effect.Effect<void, LogError, Blobs> =>
  restoreBegun(app).pipe(
    Effect.mapError(error => storeError(error, "Stop")),
    Effect.flatMap(id =>
      id === undefined
        ? Effect.void
        : Effect.fail(
            new LogError(
              "Stop",
              `The restore of the savepoint ${id} into ${app} has not ended: run headrace savepoint restore ${id} again`
            )
          )
    )
  )
