import {
  changelogName,
  checkpointAll,
  Elsewhere,
  GroupClocks,
  type Halt,
  inputTopics,
  type JobConfig,
  LaneMetrics,
  LogError,
  laneName,
  type Outputs,
  outputTopics,
  PHASES,
  type TopicPartition,
  transactionalIds
} from "@headrace/engine"
import { Effect } from "effect"
import type { Plan } from "headrace"
import { Commands, describe } from "./commands.ts"
import { departedOf } from "./departed.ts"
import { Drift } from "./drift.ts"
import { Alignment, type Command, type Event, Followers, Lane, makeTask, Pace } from "./engine.ts"
import { nameOf } from "./log.ts"
import { chainParts } from "./parts.ts"
import { SimProducer } from "./producer.ts"
import { SimSource } from "./source.ts"
import { changelogReader, groupOffsets, storeServices } from "./store.ts"
import { APP, type World } from "./world.ts"

const MAX_BUFFERED_BYTES = 2_000
/** Transactions above it are not sent once more. */
const MAX_KEPT_BYTES = 4_000
const MAX_IN_FLIGHT = 8
const MAX_POLL_RECORDS = 12
/** One: windows are always in the middle of their firing. */
const RESULTS_AT_ONCE = 1
/** Of wall clocks, and what they are set by. */
const SKEW_MS = 300
const STEP_MS = 1_000
/** So that a checkpoint has many blocks, rounds take several, and who wrote last is looked for. */
const SMALL = { blockBytes: 128, changesBytes: 8_192, lookBeyond: 20 }

/** One process with one lane, from its start to its end: what production's interpreter does, a call at a time. */
export class Node {
  readonly name: string
  readonly source: SimSource
  alive = true
  /** Ended by itself: closed after a stop. */
  closed = false
  checkpointing = false
  following = false
  /** It looks how far partitions of other processes are. */
  looking = false
  /** How far its machine's wall clock is off, in ms. */
  private skew: number
  private readonly world: World
  private readonly plan: Plan
  private readonly job: JobConfig
  private readonly lane: Lane
  private readonly followers: Followers
  private readonly commands: Commands
  private readonly elsewhere: Elsewhere | undefined
  private readonly drift: Drift
  private readonly orders: Event[] = []
  private readonly metrics: LaneMetrics

  constructor(world: World, plan: Plan, slot: number, incarnation: number) {
    this.world = world
    this.plan = plan
    this.skew = world.random.int(-SKEW_MS, SKEW_MS)
    this.job = world.job(`i${slot}`)
    this.name = laneName(this.job, 0)
    const ids = transactionalIds(this.job, 0)
    const topics = outputTopics(plan, APP)
    this.source = new SimSource(world, this, this.name, incarnation, {
      group: world.group,
      topics: inputTopics(plan, APP)
    })
    const parts = chainParts(plan, world, this, () => this.later("released", { type: "released" }))
    const fresh = (partition: TopicPartition, outputs: () => Outputs) => makeTask(parts, partition, outputs)
    this.followers = new Followers({
      app: APP,
      changelog: changelogReader(world, this),
      changelogTopic: topic => changelogName(APP, topic),
      metrics: new LaneMetrics(),
      gauges: new LaneMetrics(),
      makeTask: fresh,
      wanted: Effect.sync(() => this.others())
    })
    this.commands = new Commands({
      world,
      owner: this,
      name: this.name,
      source: this.source,
      producers: [new SimProducer(world, this, ids[0], topics), new SimProducer(world, this, ids[1], topics)],
      followers: this.followers,
      departed: departedOf(world, this, this.job, this.name),
      answer: event => this.feed(event)
    })
    this.metrics = parts.metrics
    const { aligned } = world
    const clocks = world.apart ? GroupClocks.bufferOf(aligned, 1) : world.clocks
    this.drift = new Drift(world, this.name)
    if (world.apart && aligned.length > 0) {
      const { latest, ends } = groupOffsets(world, this)
      const held = () => this.metrics.get("heldBack") > 0
      const options = { partitions: aligned, clocks, marks: this.drift.over(latest), ends, held }
      this.elsewhere = new Elsewhere(options, this.wallClock)
    }
    this.lane = new Lane({
      pace: new Pace({
        intervalMs: this.job.commitIntervalMs,
        markersPerSecond: Number.POSITIVE_INFINITY,
        sinkPartitions: 0
      }),
      maxPollRecords: MAX_POLL_RECORDS,
      maxBufferedBytes: MAX_BUFFERED_BYTES,
      maxKeptBytes: MAX_KEPT_BYTES,
      maxInFlight: MAX_IN_FLIGHT,
      resultsAtOnce: RESULTS_AT_ONCE,
      transactionalIds: ids,
      topic: id => inputTopics(plan, APP)[id]!,
      makeTask: (partition, outputs) => this.followers.take(partition, outputs) ?? fresh(partition, outputs),
      memory: parts.memory,
      alignment: new Alignment(aligned, world.apart ? 0 : slot, clocks),
      changelogTopic: topic => topics.indexOf(changelogName(APP, topic)),
      clock: parts.clock,
      metrics: parts.metrics
    })
    this.later("start", { type: "start" })
  }

  /** The partitions whose records it processes. */
  running(): readonly string[] {
    return this.lane.positions().map(({ topic, partition }) => `${topic}/${partition}`)
  }

  /** It says that it does its part: with partitions, or as a spare. */
  get ready(): boolean {
    const phase = PHASES[this.metrics.get("phase")]
    return phase === (this.running().length > 0 ? "running" : "spare")
  }

  /** Nothing is processed that is not committed, and no results of windows wait to be emitted. */
  get idle(): boolean {
    return this.lane.idle
  }

  /** The partitions that have come to rest. */
  get halted(): readonly string[] {
    return this.lane.halted.map(nameOf)
  }

  halt(halt: Halt): void {
    this.order({ type: "halt", halt })
  }

  resume(): void {
    this.order({ type: "resume" })
  }

  stop(): void {
    this.order({ type: "stop" })
  }

  /** kill -9. Requests that are on their way may still arrive: they belong to nobody. */
  kill(): void {
    this.alive = false
    this.world.dropCallsOf(this)
  }

  /** Somebody sets the wall clock. */
  stepClock(): void {
    this.skew += this.world.random.int(-STEP_MS, STEP_MS)
  }

  checkpoint(): void {
    this.checkpointing = true
    const done = () => {
      this.checkpointing = false
    }
    const { world, name } = this
    world.fork(
      this,
      `${name} checkpointed`,
      storeServices(world, this),
      checkpointAll(this.plan, this.job, { ...SMALL, incrementalBytes: world.stateBytes < 1e6 ? 0 : 1e6 }),
      done,
      error => {
        done()
        if (!(error instanceof LogError) || error.failure === "Stop") world.violation(`checkpoint of ${name}: ${error}`)
      }
    )
  }

  /** One look at what others own. */
  follow(): void {
    this.following = true
    const done = () => {
      this.following = false
    }
    const { world, name } = this
    world.fork(this, `${name} followed`, storeServices(world, this), this.followers.look(), done, done)
  }

  /** Partitions of other processes are aligned with its own. */
  get aligns(): boolean {
    return this.elsewhere !== undefined
  }

  /** One look at how far those are. */
  look(): void {
    this.looking = true
    const done = () => {
      this.looking = false
    }
    const told = () => {
      done()
      this.drift.told()
    }
    const { world, name } = this
    const looked = this.elsewhere!.look(world.now, this.wallClock)
    world.fork(this, `${name} looked elsewhere`, world.services(this), looked, told, done)
  }

  private get wallClock(): number {
    return this.world.now + this.skew
  }

  private others(): readonly TopicPartition[] {
    const owned = new Set(this.lane.owned.map(nameOf))
    return this.world.consumed().filter(one => !owned.has(nameOf(one)))
  }

  /** Orders come in their order. */
  private order(event: Event): void {
    this.orders.push(event)
    if (this.alive) this.world.call(this, `${this.name} ${event.type}`, () => this.feed(this.orders.shift()!))
  }

  private later(label: string, event: Event): void {
    if (this.alive) this.world.call(this, `${this.name} ${label}`, () => this.feed(event))
  }

  private feed(first: Event): void {
    if (first.type === "closed") this.closed = true
    let next: Event | undefined = first
    while (next !== undefined && this.alive) {
      const commands = this.step(next)
      next = undefined
      for (const command of commands) {
        this.world.trace(`    ${this.name} → ${describe(command)}`)
        if (command.type === "process") next = command
        else if (command.type === "fail") return this.failed(command.error)
        else this.commands.perform(command)
      }
      if (this.lane.ended) this.kill()
    }
  }

  /** A full disk ends the lane; anything else that is thrown, the process: nothing in these pipelines throws by itself. */
  private step(event: Event): readonly Command[] {
    const repeats = this.metrics.get("repeats")
    const heldBack = this.metrics.get("heldBack")
    if (event.type === "polled" && !this.commands.moving && this.lane.halt === undefined) this.drift.polled(this.lane)
    try {
      const commands = this.lane.step(event, this.world.now, this.wallClock)
      if (this.metrics.get("repeats") > repeats) this.world.inject("transactions repeated")
      if (this.metrics.get("heldBack") > heldBack) this.world.inject("partition held back")
      if (event.type === "committed" && this.source.arriving) this.world.inject("committed beside a restore")
      return commands
    } catch (error) {
      if (error instanceof LogError) this.failed(error)
      else this.world.violation(`${this.name} at ${event.type}: ${error instanceof Error ? error.stack : error}`)
      this.kill()
      return []
    }
  }

  /** Only what a person must mend is a violation: everything else the supervisor answers with a restart. */
  private failed(error: LogError): void {
    this.world.trace(`${this.name} gave up: ${error.message}`)
    if (error.failure === "Stop" && !error.message.includes("Another process uses"))
      this.world.violation(`${this.name} gave up: ${error.message}`)
    this.kill()
  }
}
