import type { GroupOffsets, TopicPartition } from "@headrace/engine"
import { Effect } from "effect"
import { type Lane, readBeside, watermarkBeside } from "./engine.ts"
import { nameOf } from "./log.ts"
import type { World } from "./world.ts"

/** What it was told holds for less than this: then lanes go on without it. */
const HOLDS_MS = 2_000
/** A lane looks behind each poll. One may be under way when it is told, and one when it begins to give partitions back. */
const MOST_POLLS = 3

interface Seen extends TopicPartition {
  readonly offset: number
  readonly metadata: string
}

/**
 * Whether a process waits for what it was told of partitions of others. Nothing that comes out depends on that, so it is
 * looked at by itself: of partitions that surely move, between two answers, none of its own may be read far ahead.
 */
export class Drift {
  private readonly world: World
  private readonly name: string
  private seen = new Map<string, Seen>()
  /** By the last answer, and by what the lanes were told of it. */
  private answered: readonly Seen[] = []
  private moving: readonly Seen[] = []
  private toldAt = Number.NEGATIVE_INFINITY
  private polls = 0

  constructor(world: World, name: string) {
    this.world = world
    this.name = name
  }

  /** Remembers what is answered. */
  over(latest: GroupOffsets["latest"]): GroupOffsets["latest"] {
    return partitions => Effect.tap(latest(partitions), () => Effect.sync(() => this.answer(partitions)))
  }

  /** The look is over: where logs end had to be asked besides. */
  told(): void {
    this.moving = this.answered
    this.toldAt = this.world.now
    this.polls = 0
  }

  private answer(partitions: readonly TopicPartition[]): void {
    const { world, seen } = this
    const all = partitions.flatMap(({ topic, partition }) => {
      const kept = world.remembered.get(nameOf({ topic, partition }))
      return kept === undefined ? [] : [{ topic, partition, offset: kept.offset, metadata: kept.metadata }]
    })
    this.answered = all.filter(one => {
      const before = seen.get(nameOf(one))
      if (before === undefined) return false
      return (
        readBeside(before) !== readBeside(one) || watermarkBeside(before.metadata) !== watermarkBeside(one.metadata)
      )
    })
    this.seen = new Map(all.map(one => [nameOf(one), one]))
  }

  /** Called when the answer to a poll comes in, and no call of the lane moves partitions. */
  polled(lane: Lane): void {
    const { world, name } = this
    if (world.now - this.toldAt > HOLDS_MS) return
    const owned = new Set(lane.owned.map(nameOf))
    const behind = this.moving.filter(one => !owned.has(nameOf(one)))
    const ahead = lane.positions().filter(one => behind.some(other => this.isAhead(one, other)))
    if (ahead.length === 0) return
    const read = ahead.find(one => !lane.isHeldBack(one))
    if (read === undefined) return world.inject("partition held back for another process")
    this.polls++
    if (this.polls > MOST_POLLS) world.violation(`${name} reads ${nameOf(read)} on, ahead of ${behind.map(nameOf)}`)
  }

  private isAhead(one: TopicPartition, other: Seen): boolean {
    const aligned = this.world.aligned.find(({ topic, partition }) => nameOf({ topic, partition }) === nameOf(one))
    if (aligned === undefined) return false
    const now = this.world.log.offsets.get(nameOf(other))?.metadata ?? ""
    const least = Math.max(watermarkBeside(other.metadata) ?? Number.POSITIVE_INFINITY, watermarkBeside(now) ?? -1)
    const reached = watermarkBeside(this.world.log.offsets.get(nameOf(one))?.metadata ?? "") ?? Number.NEGATIVE_INFINITY
    return reached - least > aligned.maxDriftMs
  }
}
