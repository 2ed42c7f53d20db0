import { messageOf } from "@headrace/core"
import { Effect, Schema, type Scope } from "effect"

/** A server or pipeline did not start. */
export class PartFailed extends Schema.TaggedError<PartFailed>()("PartFailed", { message: Schema.String }) {}

/** Something that runs in a process of its own, and ends with this one. */
export interface Part {
  stop(): Promise<void>
}

/**
 * Starts something, with lines of progress, for as long as the scope lives; `kept` spares it then. What is being started
 * when an interrupt comes is not waited for: it dies with this process.
 */
export const startPart = <A extends Part>(
  what: string,
  start: () => Promise<A>,
  kept: () => boolean = () => false
): Effect.Effect<A, PartFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const begun = performance.now()
    progress(`starting ${what} …`)
    const acquire = Effect.tryPromise({ try: start, catch: error => new PartFailed({ message: messageOf(error) }) })
    const release = (part: A) => (kept() ? Effect.void : stop(what, part))
    const part = yield* Effect.acquireRelease(acquire, release, { interruptible: true })
    progress(`${what} is up (${((performance.now() - begun) / 1000).toFixed(1)} s)`)
    return part
  })

const stop = (what: string, part: Part) =>
  Effect.promise(async () => {
    progress(`stopping ${what} …`)
    await part.stop()
    progress(`${what} is stopped`)
  })

export const progress = (line: string): void => void process.stderr.write(`• ${line}\n`)
