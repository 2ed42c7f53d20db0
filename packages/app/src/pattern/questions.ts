import { MessageChannel, type MessagePort } from "node:worker_threads"
import type { LaneQuestion, TaskMatch } from "@headrace/engine"
import { Data, Effect, Semaphore } from "effect"

/** Lanes answer between two of their steps: one that takes longer stands still, or has not begun. */
const ANSWERS_WITHIN = "5 seconds"

/** A lane did not answer. */
export class NoAnswer extends Data.TaggedError("NoAnswer")<{ readonly message: string }> {}

/** How the main thread asks the lanes of this process: their ports, for as long as they run. One question at a time. */
export class Questions {
  private readonly ports = new Map<string, MessagePort>()
  private readonly one = Semaphore.makeUnsafe(1)

  open(unit: string, port: MessagePort): void {
    this.ports.set(unit, port)
  }

  close(unit: string): void {
    this.ports.delete(unit)
  }

  /** What patterns have under way in a key, in all partitions that this process has. */
  openMatches(key: string): Effect.Effect<readonly TaskMatch[], NoAnswer> {
    const asked = Effect.suspend(() =>
      Effect.forEach(this.ports, ([unit, port]) => ask(unit, port, key), { concurrency: "unbounded" })
    )
    return this.one.withPermit(Effect.map(asked, found => found.flat()))
  }
}

const ask = (unit: string, port: MessagePort, key: string): Effect.Effect<readonly TaskMatch[], NoAnswer> =>
  Effect.callback<readonly TaskMatch[]>(resume => {
    const { port1, port2 } = new MessageChannel()
    port1.once("message", (found: readonly TaskMatch[]) => {
      port1.close()
      resume(Effect.succeed(found))
    })
    port.postMessage({ type: "ask", key, answer: port2 } satisfies LaneQuestion, [port2])
    return Effect.sync(() => port1.close())
  }).pipe(
    Effect.timeoutOrElse({
      duration: ANSWERS_WITHIN,
      orElse: () => Effect.fail(new NoAnswer({ message: `${unit} did not answer within ${ANSWERS_WITHIN}` }))
    })
  )
