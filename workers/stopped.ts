import type { WorkerMessage, WorkerTask } from "@headrace/engine"
import { Effect } from "effect"

/** Ends when the thread is told to stop; what was said before somebody waits for it is kept by the port. */
export const stopped = ({ control }: WorkerTask): Effect.Effect<void> =>
  Effect.callback(resume => {
    control.on("message", (message: WorkerMessage) => {
      if (message.type === "stop") resume(Effect.void)
    })
  })
