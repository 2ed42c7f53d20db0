import {
  type AlignedPartition,
  alignedPartitions,
  changelogName,
  exchangeTopics,
  GroupClocks,
  inputTopics,
  type JobConfig,
  sinkTopics,
  sourceTopics
} from "@headrace/engine"
import { type Cause, Random as Chance, Clock, Context, Effect, type Fiber, Logger, Scheduler } from "effect"
import type { Plan } from "headrace"
import { clockOf } from "./clock.ts"
import { Disk } from "./disk.ts"
import { drawFaults, type Fault, type Faults, NO_FAULTS } from "./faults.ts"
import { Group } from "./group.ts"
import { Log, type Partition } from "./log.ts"
import { Memory } from "./memory.ts"
import { SOURCE } from "./pipelines.ts"
import { Random } from "./random.ts"
import type { Sabotage } from "./sabotage.ts"
import type { Life } from "./saving.ts"
import type { Warehouse } from "./warehouse.ts"

/** Something that is under way and may happen next, if it is ready. */
export interface Call {
  readonly label: string
  /** Who is gone when it is killed, and its calls with it. */
  readonly owner: object | undefined
  readonly weight: number
  /** Not before this time, in ms. */
  readonly due: number
  readonly ready: () => boolean
  readonly run: () => void
}

export interface CallOptions {
  readonly weight?: number
  readonly due?: number
  readonly ready?: () => boolean
}

export const APP = "sim"
export const MAX_LANES = 3
const OUTPUT_PARTITIONS = 2
const STAGE_PARTITIONS = 2
const always = (): boolean => true
/** How often others act between what a request does and its answer, and how often for long. */
const ON_ITS_WAY = 0.4
const SLOW_ANSWER = 0.1
const SLOW_ANSWER_MS = 150

/** Everything outside of the lanes: time, the log, the group, stored checkpoints, and what is under way. */
export class World {
  readonly random: Random
  readonly log = new Log()
  /** Committed offsets of the lanes' group, as its coordinator answers. */
  readonly remembered = new Memory(this.log.offsets)
  readonly group: Group
  readonly disk: Disk
  readonly sabotage: Sabotage | undefined
  /** What the state of a lane may take: in every fourth seed nothing, so that it spills all the time, in others a little. */
  readonly stateBytes: number
  /** Lanes follow what others own: in half of the seeds. */
  readonly standby: boolean
  /** Event time has come to its end in all stages: windows that were open are out. */
  drained = false
  /** Each lane is a process of its own: they align by what stands beside committed offsets, not by memory that they share. */
  readonly apart: boolean
  /** The plan's aligned partitions. */
  aligned: readonly AlignedPartition[] = []
  /** Lanes of one process align by it. */
  clocks = GroupClocks.bufferOf([], 0)
  /** Where the plan has a table. */
  warehouse: Warehouse | undefined
  readonly violations: string[] = []
  readonly injected = new Map<Fault, number>()
  faults: Faults
  calls: Call[] = []
  /** Processes that stand still as a whole, as after SIGSTOP: nothing of theirs happens until they go on. */
  readonly frozen = new Set<object>()
  /** Those that were killed: nobody hears what is answered to them. */
  private readonly gone = new WeakSet<object>()
  now = 1_000
  step = 0
  readonly sourceTopics: string[] = [SOURCE]
  /** What the job was before it went on from a savepoint. */
  life: Life | undefined
  /** Where a savepoint that was taken beside the running job stands in each partition. */
  saved: Life["offset"] | undefined
  private readonly stages: string[] = []
  private readonly micro: (() => void)[] = []
  private readonly print: ((line: string) => void) | undefined

  constructor(seed: number, sabotage: Sabotage | undefined, print: ((line: string) => void) | undefined) {
    this.random = new Random(seed)
    this.stateBytes = [0, Number.POSITIVE_INFINITY, 20_000, Number.POSITIVE_INFINITY][seed % 4]!
    this.standby = seed % 4 < 2
    this.apart = seed % 8 < 6
    this.sabotage = sabotage
    this.print = print
    this.log.create(SOURCE, this.random.int(1, 3))
    this.group = new Group(this.random, this.inputs())
    this.faults = drawFaults(this.random)
    this.disk = new Disk(this.random)
  }

  /** What comes from outside. */
  inputs(): readonly Partition[] {
    return this.sourceTopics.flatMap(topic => this.log.topics.get(topic)!)
  }

  /** The same, with what came before the sources were made anew. */
  everyInput(): readonly Partition[] {
    const before = this.sourceTopics.flatMap(topic => this.life?.topics.get(topic) ?? [])
    return [...new Set([...before, ...this.inputs()])]
  }

  /** What lanes read: that, and what is between their stages. */
  consumed(): readonly Partition[] {
    return [...this.inputs(), ...this.stages.flatMap(topic => this.log.topics.get(topic)!)]
  }

  /** The plan has several stages. */
  get staged(): boolean {
    return this.stages.length > 0
  }

  /** Makes the topics of a plan, and lets the lanes' group read those that it reads. */
  open(plan: Plan): void {
    const { log, group } = this
    for (const topic of sourceTopics(plan).filter(topic => topic !== SOURCE)) {
      log.create(topic, this.random.int(1, 3))
      this.sourceTopics.push(topic)
      group.add(log.topics.get(topic)!)
    }
    for (const topic of exchangeTopics(plan, APP)) {
      log.create(topic, STAGE_PARTITIONS)
      this.stages.push(topic)
      group.add(log.topics.get(topic)!)
    }
    for (const topic of sinkTopics(plan)) log.create(topic, OUTPUT_PARTITIONS)
    for (const topic of inputTopics(plan, APP)) log.create(changelogName(APP, topic), log.topics.get(topic)!.length)
    this.align(plan)
  }

  /** Nobody has said what partitions have come to. Once the topics are there, and again when they were made anew. */
  align(plan: Plan): void {
    this.aligned = alignedPartitions(plan, new Map(this.sourceTopics.map(topic => [topic, this.countOf(topic)])))
    this.clocks = GroupClocks.bufferOf(this.aligned, MAX_LANES)
  }

  private countOf(topic: string): number {
    return this.log.topics.get(topic)!.length
  }

  /** Nothing goes wrong any more. */
  calm(): void {
    this.faults = NO_FAULTS
    this.disk.full = false
    this.frozen.clear()
    this.remembered.recall()
    this.warehouse?.remembered.recall()
    this.warehouse?.server.start()
  }

  job(instance: string): JobConfig {
    return {
      app: APP,
      instance,
      module: "",
      lanes: 1,
      kafka: { bootstrap: "", settings: {} },
      registry: { url: "" },
      commitIntervalMs: 20,
      checkpoint: { store: { directory: "" }, intervalMs: 1_000, retained: 2 },
      state: { laneBytes: this.stateBytes, directory: "", full: "wait" },
      sessionTimeoutMs: 10_000,
      lostOffsets: "stop",
      standby: 0,
      replication: 1
    }
  }

  trace(line: string): void {
    this.print?.(`${this.step} t=${Math.round(this.now)} ${line}`)
  }

  violation(what: string): void {
    this.trace(`VIOLATION ${what}`)
    this.violations.push(what)
  }

  inject(fault: Fault): void {
    this.injected.set(fault, (this.injected.get(fault) ?? 0) + 1)
  }

  /** Puts something under way. */
  call(owner: object | undefined, label: string, run: () => void, options: CallOptions = {}): Call {
    const { weight = 4, due = 0, ready = always } = options
    const call = { label, owner, weight, due, ready, run }
    if (owner === undefined || !this.gone.has(owner)) this.calls.push(call)
    return call
  }

  /**
   * What a request did is done; the answer takes its way back, and is old when it arrives: others may have acted meanwhile.
   * Answers with the call under way, if it is not heard at once.
   */
  reply(owner: object, label: string, run: () => void): Call | undefined {
    const { random } = this
    const atOnce = !random.chance(ON_ITS_WAY) && !this.frozen.has(owner) && !this.gone.has(owner)
    if (atOnce) {
      run()
      return undefined
    }
    const due = random.chance(SLOW_ANSWER) ? this.now + random.int(1, SLOW_ANSWER_MS) : 0
    return this.call(owner, `${label} answered`, run, { due })
  }

  isFrozen(owner: object | undefined): boolean {
    return owner !== undefined && this.frozen.has(owner)
  }

  cancel(call: Call): void {
    this.calls = this.calls.filter(one => one !== call)
  }

  dropCallsOf(owner: object): void {
    this.calls = this.calls.filter(one => one.owner !== owner)
    this.frozen.delete(owner)
    this.gone.add(owner)
  }

  /** A remote call as an Effect: carried out when the scheduler picks it, and answered then or later with what was found. */
  remote<A, E = never>(
    owner: object,
    label: string,
    answer: () => Effect.Effect<A, E>,
    options: CallOptions = {}
  ): Effect.Effect<A, E> {
    return Effect.callback<A, E>(resume => {
      let call: Call | undefined = this.call(
        owner,
        label,
        () => {
          const found = Effect.runSyncExit(answer())
          call = this.reply(owner, label, () => resume(found))
        },
        options
      )
      return Effect.sync(() => call && this.cancel(call))
    })
  }

  // ── effects under the scheduler's hand ─────────────────────────────────────────────────────────────────────────

  /** What fibers see: a scheduler that runs when told, the simulation's clock and chance, its trace as their log. */
  services(owner: object): Context.Context<never> {
    const scheduler = new Scheduler.MixedScheduler("async", task => {
      this.micro.push(task)
      return () => {}
    })
    const logger = Logger.make(({ logLevel, message }) => this.trace(`${logLevel}: ${message}`))
    return Context.empty().pipe(
      Context.add(Scheduler.Scheduler, scheduler),
      Context.add(Clock.Clock, clockOf(this, owner)),
      Context.add(Chance.Random, {
        nextDoubleUnsafe: () => this.random.next(),
        nextIntUnsafe: () => this.random.int(0, 0x7fff_ffff)
      }),
      Context.add(Logger.CurrentLoggers, new Set([logger]))
    ) as never
  }

  /** Starts an effect; what comes of it arrives as another call. */
  fork<A, E, R>(
    owner: object,
    label: string,
    services: Context.Context<R>,
    effect: Effect.Effect<A, E, R>,
    done: (value: A) => void,
    failed: (error: unknown, cause: Cause.Cause<E>) => void
  ): Fiber.Fiber<A, E> {
    const fiber = Effect.runForkWith(services)(effect)
    fiber.addObserver(exit => {
      this.call(owner, label, () => {
        if (exit._tag === "Success") return done(exit.value)
        const reason = exit.cause.reasons[0]
        failed(reason?._tag === "Fail" ? reason.error : reason?._tag === "Die" ? reason.defect : reason, exit.cause)
      })
    })
    return fiber
  }

  /** Lets fibers run until each waits. */
  drain(): void {
    for (let task = this.micro.shift(); task !== undefined; task = this.micro.shift()) task()
  }
}
