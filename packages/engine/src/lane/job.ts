import type { RecordEncoder } from "@headrace/core"
import { Effect, Fiber, Layer, type Scope } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { type LaneMetrics, PHASES } from "../metrics.ts"
import {
  changelogName,
  exchangesOf,
  exchangeTopics,
  groupName,
  inputTopics,
  laneName,
  of,
  outputTopics,
  sinkTopics,
  transactionalIds
} from "../names.ts"
import type { Blobs } from "../ports/blobs.ts"
import { Clients } from "../ports/clients.ts"
import { type CodecError, Codecs, type PreparedDecoder } from "../ports/codecs.ts"
import type { LogError } from "../ports/log.ts"
import { Spill } from "../ports/spill.ts"
import { RestoreProgress } from "../recovery/progress.ts"
import type { RestoreOptions } from "../recovery/restore.ts"
import { prepareTopics } from "../recovery/topics.ts"
import { openStandby } from "../standby/standby.ts"
import type { WallClock } from "../task/chain.ts"
import { preparing, topicDecoders } from "../task/decoders.ts"
import { exchangeOver } from "../task/exchange-sink.ts"
import { makeTask } from "../task/make-task.ts"
import { StateMemory } from "../task/memory.ts"
import type { TaskParts } from "../task/partition-task.ts"
import { structuralDecoder, structuralEncoder } from "../task/structural.ts"
import { alignedPartitions } from "./aligned.ts"
import { Alignment } from "./alignment.ts"
import { type LaneHandle, type LaneParts, runLane } from "./interpreter.ts"
import { Lane } from "./lane.ts"
import type { LaneOptions } from "./options.ts"
import { Pace } from "./pace.ts"
import { type SharedWhereabouts, Whereabouts } from "./whereabouts.ts"

const MAX_POLL_RECORDS = 8192
/** Unproduced output beyond this stops polling: the broker is slower than the lane, or away. */
const MAX_BUFFERED_BYTES = 16 << 20
/** Kept of a transaction until it is committed, to be sent once more: of the two of each lane. */
const MAX_KEPT_BYTES = 8 << 20
/** Longer than the transaction time-out, after which the coordinator aborts what a dead lane left open. */
const RESTORE_PATIENCE_MS = 30_000
/** Of a lane: with few partitions far below what a commit every 25 ms makes; with many, what brokers bear from a dozen lanes. */
const COMMIT_MARKERS = 1_000
/** The group's offsets are in one partition. */
const OFFSETS_PARTITION = 1
const RESTORE_CONCURRENCY = 4
/** A poll comes every few milliseconds: a hundred thousand windows that end at once are out within a second or two. */
const RESULTS_AT_ONCE = 512
/** Entries of state that leave memory behind one batch at least, while some have to: about 20 ms. */
const DRAINED_AT_ONCE = 4096

export interface LaneJob {
  readonly plan: Plan
  readonly job: JobConfig
  readonly lane: number
  readonly metrics: LaneMetrics
  /** How many partitions the job's topics have, where that is known already. */
  readonly topics?: ReadonlyMap<string, number>
  /** How far partitions have come, see `GroupClocks`. Without it the lane aligns its own partitions only. */
  readonly clocks?: SharedArrayBuffer
  /** Which partitions the process has, and which have come to rest. Without it nobody waits for that. */
  readonly whereabouts?: SharedWhereabouts
  /** The lane stays outside of its group until this ends, and follows what its predecessor owns. */
  readonly admitted?: Effect.Effect<void>
}

/**
 * One lane of a job, from waiting for its topics and joining the group until it is told to stop through its handle.
 * `attach` gets the handle as soon as the lane listens.
 */
export const runLaneJob = (
  options: LaneJob,
  attach: (handle: LaneHandle) => void
): Effect.Effect<void, LogError | CodecError, Clients | Codecs | Blobs | Spill> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { plan, job, metrics } = options
      const topics = options.topics ?? (yield* prepareTopics(plan, job))
      const ids = transactionalIds(job, options.lane)
      const written = outputTopics(plan, job.app)
      const clients = yield* Clients
      let handle: LaneHandle | undefined
      const memory = yield* stateMemory(job)
      const clock: WallClock = { now: 0 }
      const onFinished = () => handle?.offer({ type: "released" })
      const entered = clients.source({
        topics: inputTopics(plan, job.app),
        group: groupName(job),
        member: laneName(job, options.lane),
        sessionTimeoutMs: job.sessionTimeoutMs
      })
      // A pipeline's own services may take their time, and a member that does not poll holds up its partitions, and the group.
      const services = yield* Layer.build(plan.layer as Layer.Layer<unknown>)
      // It joins while the registry is asked, which has just answered where topics are known: at a process's start.
      const early = options.admitted === undefined && options.topics !== undefined
      const entering = early ? yield* Effect.forkScoped(entered) : undefined
      const parts = yield* taskParts(options, topics, { clock, memory, onFinished, services })
      const standby = yield* openStandby(options, topics, (partition, outputs) => makeTask(parts, partition, outputs))
      if (options.admitted !== undefined) {
        metrics.set("phase", PHASES.indexOf("following"))
        yield* options.admitted
      }
      const membership = yield* entering === undefined ? entered : Fiber.join(entering)
      const producers = yield* Effect.all([clients.producer(ids[0], written), clients.producer(ids[1], written)])
      const changelog = yield* clients.changelog
      const source = preparing(membership, topicDecoders(parts))
      const lane = new Lane({
        ...limitsOf(plan, job, topics),
        memory,
        clock,
        metrics,
        transactionalIds: ids,
        topic: source.topic,
        makeTask: standby.makeTask,
        alignment: new Alignment(alignedPartitions(plan, topics), options.lane, options.clocks),
        changelogTopic: topic => written.indexOf(changelogName(job.app, topic))
      })
      yield* standby.join(() => lane.owned)
      const restore: RestoreOptions = {
        app: job.app,
        source,
        changelog,
        changelogTopic: topic => changelogName(job.app, topic),
        lost: job.lostOffsets,
        metrics,
        patienceMs: RESTORE_PATIENCE_MS
      }
      const whereabouts = options.whereabouts && new Whereabouts(options.whereabouts)
      const laneParts: LaneParts = {
        lane,
        source,
        producers,
        reader: changelog,
        restore: (task, part) => standby.restore(restore, task, part),
        progress: new RestoreProgress(metrics),
        close: membership.close,
        metrics,
        topics: inputTopics(plan, job.app),
        say: () => whereabouts?.say(options.lane, lane.owned, lane.halt, lane.halted),
        restoreConcurrency: RESTORE_CONCURRENCY
      }
      yield* runLane(laneParts, attached => {
        handle = attached
        attach(attached)
      })
    })
  )

type Limits = "pace" | "maxPollRecords" | "maxBufferedBytes" | "maxKeptBytes" | "maxInFlight" | "resultsAtOnce"

/** How much at once, and how often. */
const limitsOf = (plan: Plan, job: JobConfig, topics: ReadonlyMap<string, number>): Pick<LaneOptions, Limits> => {
  const written = [...sinkTopics(plan), ...exchangeTopics(plan, job.app)]
  return {
    pace: new Pace({
      intervalMs: job.commitIntervalMs,
      markersPerSecond: job.commitMarkers ?? COMMIT_MARKERS,
      sinkPartitions: written.reduce((sum, topic) => sum + topics.get(topic)!, OFFSETS_PARTITION)
    }),
    maxPollRecords: MAX_POLL_RECORDS,
    maxBufferedBytes: MAX_BUFFERED_BYTES,
    maxKeptBytes: MAX_KEPT_BYTES,
    maxInFlight: maxInFlight(plan),
    resultsAtOnce: RESULTS_AT_ONCE
  }
}

/** Decoders, encoders and services: made once for a lane and shared by its partitions. */
const taskParts = (
  { plan, job, metrics }: LaneJob,
  topics: ReadonlyMap<string, number>,
  lane: Pick<TaskParts, "clock" | "memory" | "onFinished" | "services">
): Effect.Effect<TaskParts, CodecError, Codecs | Scope.Scope> =>
  Effect.gen(function* () {
    const { app } = job
    const codecs = yield* Codecs
    // Two sides of a join have two schemas, each with a subject of its own.
    const crossing = exchangeTopics(plan, app).flatMap(topic =>
      exchangesOf(plan, app, topic).map(({ id, schema }, i) => ({ id, schema, topic: `${topic}-${i}` }))
    )
    const all = yield* Effect.all(
      {
        read: forEach(of(plan, "source"), ({ schema, topic }) => codecs.decoder(schema, topic)),
        written: forEach(of(plan, "kafkaSink"), ({ schema, topic }) => codecs.encoder(schema, topic)),
        decoders: forEach(crossing, ({ schema, topic }) =>
          schema ? codecs.decoder(schema, topic) : Effect.sync(structuralDecoder)
        ),
        encoders: forEach(crossing, ({ schema, topic }) =>
          schema ? codecs.encoder(schema, topic) : Effect.succeed(structuralEncoder)
        )
      },
      ALL_AT_ONCE
    )
    const decoders = new Map<string, PreparedDecoder>([...all.read, ...all.decoders])
    const encoders = new Map<string, RecordEncoder>([...all.written, ...all.encoders])
    const written = outputTopics(plan, app)
    const parts = {
      ...lane,
      plan,
      app,
      decoders,
      encoders,
      topicId: (name: string) => written.indexOf(name),
      partitions: (topic: string) => topics.get(topic)!,
      metrics
    }
    return { ...parts, exchange: exchangeOver(parts) }
  })

/** The registry answers in its own time: nobody waits for one answer after the other. */
const ALL_AT_ONCE = { concurrency: "unbounded" } as const

/** What is made for each of these, by id. */
const forEach = <Of extends { readonly id: string }, A, E, R>(
  all: readonly Of[],
  make: (of: Of) => Effect.Effect<A, E, R>
): Effect.Effect<readonly (readonly [string, A])[], E, R> =>
  Effect.forEach(all, one => Effect.map(make(one), made => [one.id, made] as const), ALL_AT_ONCE)

/** Its files go with the lane, also where the thread lives on. */
const stateMemory = ({ state }: JobConfig): Effect.Effect<StateMemory, never, Spill | Scope.Scope> =>
  Effect.flatMap(Spill, ({ open }) =>
    Effect.acquireRelease(
      Effect.sync(
        () =>
          new StateMemory({
            boundBytes: state.laneBytes,
            drainedAtOnce: DRAINED_AT_ONCE,
            onFull: state.full,
            open
          })
      ),
      memory => Effect.sync(() => memory.close())
    )
  )

/** Enough that asynchronous steps never run dry between two polls, and no more. */
const maxInFlight = (plan: Plan): number => of(plan, "mapEffect").reduce((sum, node) => sum + 4 * node.concurrency, 0)
