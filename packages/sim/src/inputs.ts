import { Effect } from "effect"
import { corruptEvent, type Event, encodeEvent } from "./codec.ts"
import type { Partition } from "./log.ts"
import { type Ask, SOURCE } from "./pipelines.ts"
import type { World } from "./world.ts"

/** What comes in, a few records at a time, until there is enough of it. */
export class Inputs {
  left: number
  private readonly world: World
  private readonly clock = new Map<Partition, number>()
  private nextId = 1

  constructor(world: World) {
    this.world = world
    this.left = world.random.int(20, 120)
  }

  /** A few records in one partition, with gaps between them as transactional producers leave them. */
  add(): void {
    const { world } = this
    const { random } = world
    const to = random.pick(world.inputs())
    for (let few = Math.min(this.left, random.int(1, 8)); few > 0; few--) {
      if (random.chance(0.1)) to.append(undefined)
      this.left--
      const event = this.event(to)
      const corrupt = random.chance(0.02)
      if (corrupt) world.inject("corrupt record")
      const value = corrupt ? corruptEvent(event.id) : encodeEvent(event)
      to.append({ key: new TextEncoder().encode(event.account), value, timestamp: event.at })
    }
    if (random.chance(0.2)) to.append(undefined)
  }

  private event(to: Partition): Event {
    const { random } = this.world
    const time = (this.clock.get(to) ?? 100_000) + (random.chance(0.1) ? random.int(0, 4_000) : random.int(0, 150))
    this.clock.set(to, time)
    const at = time - (random.chance(0.2) ? random.int(0, 4_000) : random.int(0, 900))
    return {
      id: this.nextId++,
      account: `${to.topic === SOURCE ? "p" : "q"}${to.partition}-${random.int(0, 3)}`,
      cents: random.int(1, 1 << 30),
      at
    }
  }
}

/** Asynchronous steps are answered at once, or when the scheduler picks them. */
export const askIn =
  (world: World): Ask =>
  (record, result) => {
    if (world.random.chance(0.3)) return Effect.succeed(result())
    return Effect.callback<object>(resume => {
      const due = world.now + (world.random.chance(0.05) ? 200 : world.random.int(0, 30))
      const answer = () => resume(Effect.succeed(result()))
      const call = world.call(undefined, `answer ${JSON.stringify(record)}`, answer, { due })
      return Effect.sync(() => world.cancel(call))
    })
  }
