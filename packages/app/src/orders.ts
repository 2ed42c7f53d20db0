import type { WorkerMessage } from "@headrace/engine"
import { Effect } from "effect"

/** What the lanes of this process are told while they run. One that is started again is told what still holds. */
export class Orders {
  private holding: readonly WorkerMessage[] = []
  private readonly lanes = new Set<(order: WorkerMessage) => void>()

  give(order: WorkerMessage): void {
    this.holding = order.type === "resume" ? [] : [...this.holding, order]
    for (const tell of this.lanes) tell(order)
  }

  /** Tells a lane, until that is interrupted. */
  to(tell: (order: WorkerMessage) => void): Effect.Effect<never> {
    return Effect.callback(() => {
      for (const order of this.holding) tell(order)
      this.lanes.add(tell)
      return Effect.sync(() => void this.lanes.delete(tell))
    })
  }
}
