import { Effect } from "effect"
import { letGo } from "./port-error.ts"

interface Closable {
  readonly close: () => Promise<void>
}

/** Clients that take each other's place: at most one is there at a time. */
export class Successive<C extends Closable> {
  current: C | undefined
  private readonly name: string

  /** `name`: what each of them is called when it does not end in time. */
  constructor(name: string) {
    this.name = name
  }

  /** Lets go of the one that is there, and waits for it. */
  get close(): Effect.Effect<void> {
    return Effect.suspend(() => this.end(this.take()))
  }

  /**
   * The same for one that hangs in a call and ends when that comes back, if ever: nobody waits for it. From now on it is not
   * there any more, also for who closes next.
   */
  get leaveBehind(): Effect.Effect<void> {
    return Effect.suspend(() => Effect.asVoid(Effect.forkDetach(this.end(this.take()))))
  }

  private take(): C | undefined {
    const { current } = this
    this.current = undefined
    return current
  }

  private end(client: C | undefined): Effect.Effect<void> {
    return client === undefined ? Effect.void : letGo(`close ${this.name}`, () => client.close())
  }
}
