import {
  type AlignedPartition,
  alignedPartitions,
  type GroupChange,
  type LaneMetrics,
  LogError,
  type LogFailure,
  outputTopics,
  STRIDE,
  sourceTopics,
  type TopicPartition,
  transactionalIds
} from "@headrace/engine"
import { Effect } from "effect"
import type { Plan } from "headrace"
import { encodeEvent, type Event as Record } from "../src/codec.ts"
import { Alignment, type Command, type Event, Lane, makeTask, Pace, type Restored } from "../src/engine.ts"
import { NO_FAULTS } from "../src/faults.ts"
import { chainParts } from "../src/parts.ts"
import { type Ask, planOf, type Shape, SOURCE } from "../src/pipelines.ts"
import { APP, World } from "../src/world.ts"

const PARTITIONS = 3
/** Seeds of worlds with as much memory for state as it takes, and with none. */
const UNBOUNDED = 1
export const NO_MEMORY = 4

/** What a plan aligns, where its source has a few partitions. */
export const alignedIn = (plan: Plan): readonly AlignedPartition[] =>
  alignedPartitions(plan, new Map(sourceTopics(plan).map(topic => [topic, PARTITIONS])))

/** A lane whose commands are answered by hand, one at a time and in any order. */
export class Bench {
  readonly metrics: LaneMetrics
  readonly world: World
  readonly ids: readonly [string, string]
  /** Commands that wait for an answer. */
  under: Command[] = []
  /** Everything that the lane asked for, in order. */
  readonly asked: Command["type"][] = []
  now = 1_000
  wallClock = 1_000_000
  private readonly lane: Lane
  private released = false
  /** The next one of each partition. */
  readonly positions = new Map<number, number>()

  /** By the world's seed state has room without bound, or none at all. */
  constructor(
    shape: Shape | Plan,
    ask: Ask = (_, result) => Effect.succeed(result()),
    clocks?: SharedArrayBuffer,
    seed = UNBOUNDED
  ) {
    this.world = new World(seed, undefined, undefined)
    this.world.faults = NO_FAULTS
    this.ids = transactionalIds(this.world.job("i"), 0)
    const plan = typeof shape === "string" ? planOf(shape, ask) : shape
    const topics = outputTopics(plan, APP)
    const parts = chainParts(plan, this.world, this, () => {
      this.released = true
    })
    this.lane = new Lane({
      pace: new Pace({ intervalMs: 20, markersPerSecond: Number.POSITIVE_INFINITY, sinkPartitions: 0 }),
      maxPollRecords: 8192,
      maxBufferedBytes: 1 << 20,
      maxKeptBytes: 1 << 20,
      maxInFlight: 8,
      resultsAtOnce: 8,
      transactionalIds: this.ids,
      topic: () => sourceTopics(plan)[0]!,
      makeTask: (partition, outputs) => makeTask(parts, partition, outputs),
      memory: parts.memory,
      alignment: new Alignment(alignedIn(plan), 0, clocks),
      changelogTopic: () => topics.length - 1,
      clock: parts.clock,
      metrics: parts.metrics
    })
    this.metrics = parts.metrics
  }

  get phase(): number {
    return this.metrics.get("phase")
  }
  /** How many partitions have come to rest. */
  get halted(): number {
    return this.lane.halted.length
  }
  get failure(): LogError | undefined {
    const failed = this.under.find(command => command.type === "fail")
    return failed?.type === "fail" ? failed.error : undefined
  }

  step(event: Event): void {
    for (const command of this.lane.step(event, this.now, this.wallClock)) {
      this.asked.push(command.type)
      if (command.type === "process") this.step({ type: "process" })
      else this.under.push(command)
    }
    this.world.drain()
    if (!this.released) return
    this.released = false
    this.step({ type: "released" })
  }

  /** Up to a lane that runs with the source's first partition. */
  run(): this {
    this.step({ type: "start" })
    this.answer("initialise")
    this.answer("initialise")
    this.assign(0)
    this.settle(["take", "restore", "seek"])
    return this
  }

  /** Answers a poll with a partition that the group gives. */
  assign(partition: number): void {
    this.change("assign", [partition])
  }

  /** Answers a poll with what the group did. */
  change(type: GroupChange["type"], partitions: readonly number[]): void {
    const change = { type, partitions: partitions.map(partition => ({ topic: SOURCE, partition })) }
    this.step({ ...this.polled([]), changes: [change] })
  }

  /** What the oldest waiting command of this type is about. */
  waiting<T extends Command["type"]>(type: T): Extract<Command, { type: T }> {
    const command = this.under.find(one => one.type === type)
    if (command === undefined) throw new Error(`No ${type} waits, only ${this.under.map(one => one.type)}`)
    return command as Extract<Command, { type: T }>
  }

  /** Answers a poll with these records of a partition. */
  feed(records: readonly Record[], partition = 0): void {
    this.step(this.polled(records, partition))
  }

  /** Answers the oldest command of this type as if it had succeeded. */
  answer(type: Command["type"]): void {
    this.step(this.success(this.take(type)))
  }

  fail(type: Command["type"], failure: LogFailure): void {
    const command = this.take(type)
    const turn = "turn" in command ? { turn: command.turn } : {}
    const task = command.type === "restore" ? { task: command.task } : {}
    this.step({ type: "failed", command: type, error: new LogError(failure, `${type}: ${failure}`), ...turn, ...task })
  }

  /** Answers the oldest command, again and again, while one of these types waits. */
  settle(types: readonly Command["type"][]): void {
    for (;;) {
      const next = this.under.find(command => types.includes(command.type))
      if (next === undefined) return
      this.answer(next.type)
    }
  }

  waits(type: Command["type"]): boolean {
    return this.under.some(command => command.type === type)
  }

  private take(type: Command["type"]): Command {
    const command = this.waiting(type)
    this.under = this.under.filter(one => one !== command)
    return command
  }

  private success(command: Command): Event {
    switch (command.type) {
      case "poll":
        return { type: "polled", batch: batchOf([], 0), changes: [] }
      case "relieve":
        return { type: "relieve" }
      case "produce":
        return { type: "produced", turn: command.turn }
      case "flush":
        return { type: "flushed", turn: command.turn }
      case "sendOffsets":
        return { type: "offsetsSent", turn: command.turn }
      case "commit":
        return { type: "committed", turn: command.turn, poisoned: false }
      case "initialise":
        return { type: "initialised", turn: command.turn }
      case "restore":
        return {
          type: "restored",
          task: command.task,
          at: this.positionOf(command.task)
        }
      case "take":
      case "pause":
        return { type: "held", tasks: command.tasks }
      case "seek":
        return { type: "sought" }
      case "unassign":
        return { type: "unassigned" }
      case "close":
        return { type: "closed" }
      case "process":
      case "abandon":
      case "fail":
        throw new Error(`${command.type} has no answer`)
    }
  }

  private positionOf({ topic, partition }: TopicPartition): Restored {
    const offset = this.positions.get(partition) ?? 0
    return { topic, partition, offset, committed: offset }
  }

  private polled(records: readonly Record[], partition = 0): Extract<Event, { type: "polled" }> {
    this.take("poll")
    const offset = this.positions.get(partition) ?? 0
    const batch = batchOf(records, offset, partition)
    this.positions.set(partition, offset + records.length)
    return { type: "polled", batch, changes: [] }
  }
}

/** Records of a partition from `offset` on, keyed by account. */
export const batchOf = (records: readonly Record[], offset: number, partition = 0) => {
  const index = new Int32Array(records.length * STRIDE)
  let at = 0
  const parts = records.flatMap((record, i) => {
    const key = Buffer.from(record.account)
    const value = encodeEvent(record)
    index.set([0, partition, at, key.length, at + key.length, value.length, 0, 0], i * STRIDE)
    at += key.length + value.length
    return [key, value]
  })
  const stamps = Float64Array.from(records.flatMap((record, i) => [offset + i, record.at]))
  return { bytes: Buffer.concat(parts), index, stamps, count: records.length }
}
