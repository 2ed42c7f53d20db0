import { Idleness } from "@headrace/core"
import type { WallClock } from "./chain.ts"
import type { Timed } from "./operators.ts"

/** Says once that nothing has come for a while, by the lane's wall clock; and again after the next records. */
export class IdleWatch implements Timed {
  private readonly idleness: Idleness
  private readonly clock: WallClock
  private said = false
  private isHeld = false

  constructor(timeoutMs: number, clock: WallClock) {
    this.idleness = new Idleness(timeoutMs)
    this.clock = clock
  }

  /** It has said so, and nothing has come since. */
  get isIdle(): boolean {
    return this.said
  }

  /** Called for each run of records. */
  observe(): void {
    this.idleness.observe()
    this.said = false
  }

  /** Nothing can come for the time being: that is no silence. */
  holdBack(isHeld: boolean): void {
    this.isHeld = isHeld
  }

  /** The lane asks after each poll: these are the looks. */
  get pending(): boolean {
    if (this.isHeld) this.idleness.observe()
    return !this.said && this.idleness.look(this.clock.now)
  }

  proceed(): number {
    this.said = true
    return 1
  }
}
