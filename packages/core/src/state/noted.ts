import type { ByteWriter } from "../bytes.ts"
import type { Stateful } from "../operator.ts"
import type { OperatorState } from "./operator.ts"
import type { Spilling } from "./spill.ts"

/**
 * An operator that has part of its state in fields of its own, because it changes with each record or watermark: the
 * handles only follow when they are written.
 */
export abstract class NotedState implements Stateful {
  abstract readonly id: string
  abstract readonly operator: number
  protected abstract readonly state: OperatorState

  delta(out: ByteWriter): void {
    this.note()
    this.state.delta(out)
  }

  snapshot(out: ByteWriter): void {
    this.note()
    this.state.snapshot(out)
  }

  restore(key: Uint8Array, value: Uint8Array | undefined, prefix = false): void {
    this.state.restore(key, value, prefix)
    this.recall(prefix)
  }

  get memory(): Spilling {
    return this.state
  }

  /** Puts the fields into the handles, where they differ. */
  protected abstract note(): void

  /** Takes the fields from the handles, behind each entry that is put back; `prefix`: one that removed others. */
  protected abstract recall(prefix: boolean): void
}
