import { partitionOf } from "@headrace/core"
import { Effect } from "effect"
import { corruptEvent, type Event, encodeEvent } from "./codec.ts"
import type { Partition } from "./log.ts"
import { Controls } from "./patterns.ts"
import { type Ask, CONTROL, SOURCE } from "./pipelines.ts"
import type { World } from "./world.ts"

const utf8 = new TextEncoder()

/** What comes in, a few records at a time, until there is enough of it. */
export class Inputs {
  left: number
  private readonly world: World
  private clock = new Map<Partition, number>()
  private readonly controls: Controls
  private nextId = 1
  /** None come: all that there is shall be consumed. */
  paused = false

  constructor(world: World) {
    this.world = world
    this.controls = new Controls(world.random)
    this.left = world.random.int(20, 120)
  }

  /**
   * Topics were made anew, with other partitions: what comes now is behind all that was, so that event time which is the
   * least of several partitions' from now on makes no difference.
   */
  moved(): void {
    const latest = Math.max(FIRST_MS, ...this.clock.values())
    this.clock = new Map(this.world.inputs().map(partition => [partition, latest + BEHIND_MS]))
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
      const control = to.topic === CONTROL ? this.controls.next(to.partition, event.id) : undefined
      const value = corrupt ? corruptEvent(event.id) : (control?.value ?? encodeEvent(event))
      to.append({ key: utf8.encode(control?.id ?? event.account), value, timestamp: event.at })
    }
    if (random.chance(0.2)) to.append(undefined)
  }

  /** Those that Kafka's default partitioner puts there. */
  private accountsOf({ topic, partition }: Partition): readonly string[] {
    const count = this.world.log.topics.get(topic)!.length
    const names = ACCOUNTS.map(i => `${topic === SOURCE ? "p" : "q"}-${i}`)
    return names.filter(name => partitionOf(utf8.encode(name), count) === partition)
  }

  private event(to: Partition): Event {
    const { random } = this.world
    const time = (this.clock.get(to) ?? FIRST_MS) + (random.chance(0.1) ? random.int(0, 4_000) : random.int(0, 150))
    this.clock.set(to, time)
    const at = time - (random.chance(0.2) ? random.int(0, 4_000) : random.int(0, 900))
    return {
      id: this.nextId++,
      account: random.pick(this.accountsOf(to)),
      cents: random.int(1, 1 << 30),
      at
    }
  }
}

/** Names enough that each partition has some. */
const ACCOUNTS = Array.from({ length: 16 }, (_, i) => i)
const FIRST_MS = 100_000
const BEHIND_MS = 10_000

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
