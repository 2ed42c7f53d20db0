import type { Random } from "../../src/generator/random.ts"
import type { Instance } from "../instance.ts"
import type { Held, Link } from "../net/link.ts"
import type { Mark, World } from "../world.ts"

/** What a fault has to work with. `random` belongs to this one injection: the same seed, the same choices. */
export interface Scene {
  readonly world: World
  readonly random: Random
}

/** A fault that was injected. */
export interface Injected {
  /** From here on recovery counts: the blow itself, or the moment at which what was taken away is back. */
  readonly mark: Mark
  /** Puts the scene in order for the next fault, once this one has recovered. */
  readonly settle?: () => Promise<void>
}

export interface Fault {
  readonly name: string
  /** What figures are promised for. */
  readonly group: "kill" | "zombie" | "late" | "broker" | "other"
  /** Where recovery shows. */
  readonly where: "kafka" | "clickhouse"
  /** Recovery includes the session time-out: another instance has to take over. */
  readonly session?: boolean
  readonly inject: (scene: Scene) => Promise<Injected>
}

/** A victim may have to get its partitions back first, on a busy machine. */
const CATCH_MS = 60_000

/** One of the three; with none of them down there is always one. */
export const victimOf = ({ world, random }: Scene): Instance => world.instances[random.below(world.instances.length)]!

export const between = (random: Random, low: number, high: number): number => low + random.below(high - low)

/** The next such request; rejects when none comes by. */
export const catchNext = (
  { world }: Scene,
  link: Link,
  wants: (request: Buffer) => boolean,
  label?: string
): Promise<Held> => link.next(wants, { signal: limited(world), ...(label === undefined ? {} : { label }) })

export const limited = (world: World, ms = CATCH_MS): AbortSignal =>
  AbortSignal.any([world.options.signal, AbortSignal.timeout(ms)])

/** `kill -9`, and the same again at once. */
export const killAndRestart = async (world: World, victim: Instance): Promise<Mark> => {
  const mark = world.mark()
  await victim.kill()
  victim.start()
  return mark
}
