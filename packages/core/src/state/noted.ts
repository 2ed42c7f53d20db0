import type { ByteWriter } from "../bytes.ts"
import type { Stateful } from "../operator.ts"
import type { EntryRange, EntryReader } from "./block.ts"
import { PREFIX_TOMBSTONE } from "./changes.ts"
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

  restore(change: EntryRange, kind: number): void {
    this.state.restore(change, kind)
    this.recall(kind === PREFIX_TOMBSTONE)
  }

  putBack(handle: number, entries: EntryReader): void {
    this.state.putBack(handle, entries)
    this.recall(false)
  }

  get memory(): Spilling {
    return this.state
  }

  /** Puts the fields into the handles, where they differ. */
  protected abstract note(): void

  /** Takes the fields from the handles, behind all that is put back; `prefix`: what was removed others. */
  protected abstract recall(prefix: boolean): void
}
