import type { WorkerLoad } from "@headrace/engine"
import { Effect, type Scope } from "effect"
import { Piscina } from "piscina"
import { workerFile } from "./place.ts"

/** No file for the pool as a whole: a file that fails at import is then its task's failure, and no thread is lost. */
export const threads = (count: number): Effect.Effect<Piscina, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const pool = new Piscina({ minThreads: 0, maxThreads: count, idleTimeout: 60_000, atomics: "disabled" })
      // A thread that dies after its task has ended: there is nothing left that could fail.
      pool.on("error", (error: unknown) => void Effect.runFork(Effect.logWarning("an idle thread died", error)))
      return pool
    }),
    pool => Effect.promise(() => pool.destroy())
  )

/**
 * A thread that is ended in the middle of an import may take the exit code with it. It takes a fraction of a second where
 * processors are free; what does not end within this is a module that waits for something.
 */
const LOADING_MS = 5_000

/**
 * Has threads of the pool load what lanes of a pipeline run, at once; ends when they have, or could not: then it is for the
 * lanes to say why.
 */
export const loading = (
  pool: Piscina,
  lanes: number,
  module: string
): Effect.Effect<Effect.Effect<void>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const task: WorkerLoad = { load: module }
    const begin = () =>
      Promise.allSettled(Array.from({ length: lanes }, () => pool.run(task, { filename: workerFile() })))
    const done = yield* Effect.acquireRelease(Effect.sync(begin), begun =>
      Effect.timeoutOption(
        Effect.promise(() => begun),
        LOADING_MS
      )
    )
    return Effect.asVoid(Effect.promise(() => done))
  })
