import { Idleness } from "@headrace/core"
import type { WallClock } from "./chain.ts"
import type { Timed } from "./operators.ts"

/** Says once that nothing has come for a while, by the lane's wall clock; and again after the next records. */
export class IdleWatch implements Timed {
  private readonly idleness: Idleness
  private readonly clock: WallClock
  private readonly tellActive: () => void
  private said = false
  private isHeld = false
  /** It has said so, and has records to come after all: that is still to be told. */
  private isBack = false

  /** `tellActive`: the next stage is to wait for it again. Only for those that are held back. */
  constructor(timeoutMs: number, clock: WallClock, tellActive: () => void = () => {}) {
    this.idleness = new Idleness(timeoutMs)
    this.clock = clock
    this.tellActive = tellActive
  }

  /** It has said so, and nothing has come since. */
  get isIdle(): boolean {
    return this.said
  }

  /** Called for each run of records. */
  observe(): void {
    this.idleness.observe()
    this.said = false
    this.isBack = false
  }

  /**
   * Nothing can come for the time being, though there may be something: that is no silence. It ends one that was said before, or others
   * would pass by what waits here.
   */
  holdBack(isHeld: boolean): void {
    this.isHeld = isHeld
    if (!isHeld || !this.said) return
    this.said = false
    this.isBack = true
  }

  /** The lane asks after each poll: these are the looks. */
  get pending(): boolean {
    if (this.isHeld) this.idleness.observe()
    return this.isBack || (!this.said && this.idleness.look(this.clock.now))
  }

  proceed(): number {
    if (this.isBack) this.tellActive()
    else this.said = true
    this.isBack = false
    return 1
  }
}
