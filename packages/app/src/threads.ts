import { Effect, type Scope } from "effect"
import { Piscina } from "piscina"

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
