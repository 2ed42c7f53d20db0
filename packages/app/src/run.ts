import {
  alignedPartitions,
  type CheckpointStore,
  Clients,
  checkTopics,
  Elsewhere,
  GroupClocks,
  groupName,
  inputPartitions,
  inputTopics,
  type JobConfig,
  LaneMetrics,
  prepareTopics,
  type RestoreSavepoint,
  restoredFrom,
  Whereabouts
} from "@headrace/engine"
import { kafkaClients } from "@headrace/kafka"
import { Console, Deferred, Effect, Exit, Fiber } from "effect"
import type { Node, Plan } from "headrace"
import { servicesOf } from "../../../workers/services.ts"
import { Checkpoints } from "./checkpoints.ts"
import { ConfigError } from "./config/error.ts"
import { jobOf } from "./config/job.ts"
import type { Settings } from "./config/settings.ts"
import { savepointsIn, storeText } from "./config/store.ts"
import { Handover, identityOf } from "./handover.ts"
import { holdInstance } from "./instance.ts"
import { loadPipeline } from "./module.ts"
import { Questions } from "./pattern/questions.ts"
import { compiled } from "./place.ts"
import { awaitNeeds, awayOf, serversOf } from "./preflight.ts"
import { endWhenDone } from "./savepoint/bounded.ts"
import { type SavepointRequest, Savepoints } from "./savepoint/ending.ts"
import { restore } from "./savepoint/restore.ts"
import { showRestore } from "./savepoint/show.ts"
import { serve } from "./server.ts"
import { warnOfState } from "./states.ts"
import { Status } from "./status.ts"
import { type Admission, defaultRestarts, type Supervised, supervise } from "./supervisor.ts"
import { mayTakeOver, takeOver } from "./takeover.ts"
import { loading, threads } from "./threads.ts"
import type { Unit } from "./unit.ts"
import { isEmbedded } from "./value.ts"

const STOP_WITHIN_MS = 8000

/** Where a run begins and ends, if it is not to go on from its own state for ever. */
export interface HowToRun {
  /** A savepoint to start from. */
  readonly from?: RestoreSavepoint | undefined
  /** What is to be done when the records that are there at the start have been processed. */
  readonly bounded?: SavepointRequest | undefined
  /** The URL of the process whose place it takes, once it has followed its state. */
  readonly predecessor?: string | undefined
}

/**
 * Runs a pipeline in this process until it is interrupted (a clean stop) or a person must act (JobFailed). Sets the
 * exit code of an interrupted process: 0 when everything stopped cleanly, else 1.
 */
export const run = Effect.fnUntraced(function* (settings: Settings, how: HowToRun = {}) {
  Object.assign(process.env, settings.env)
  const { plan, digest } = yield* loadPipeline(settings.pipeline)
  const job = jobOf(settings, plan.name)
  const tables = yield* tablesOf(plan, settings)
  const units = [...lanesOf(settings.lanes), ...tables]
  if (units.length === 0) return yield* new ConfigError({ message: "nothing to run: 0 lanes and no sinks" })
  const identity = identityOf(job, plan)
  if (how.predecessor === undefined) yield* holdInstance(job)
  else yield* mayTakeOver(how.predecessor, identity)
  const status = new Status(job.app, units, {
    sources: inputTopics(plan, job.app),
    nodes: plan.nodes.map(({ id }) => id)
  })
  const store = savepointsIn(settings.savepoint.store, settings.checkpoint.s3)
  const savepoints = new Savepoints({ plan, digest, job, store }, status)
  const handover = new Handover(identity, status)
  const questions = new Questions()
  const port = yield* serve(status, savepoints, handover, questions, settings.http.host, settings.http.port)
  yield* Effect.logInfo(`${job.app} as ${job.instance}: ${settings.lanes} lanes, ${tables.length} tables`)
  yield* Effect.logInfo(
    `health and metrics at http://${settings.http.host}:${port}, checkpoints in ${storeText(job.checkpoint.store)}`
  )
  if ("directory" in job.checkpoint.store)
    yield* Effect.logInfo(
      "checkpoints in a directory are for one machine: give --checkpoints s3://bucket/prefix before other machines join"
    )
  const settle = (exit: Exit.Exit<void, unknown>) => (Exit.hasInterrupts(exit) ? stopped(status) : Effect.void)
  const all = { job, plan, digest, status, settings, savepoints, store, how, handover, questions }
  // Its threads have ended when it is said that all has stopped: nothing may fail behind that.
  const whole = Effect.scoped(work(all))
  const handedOver = Effect.andThen(handover.requested, Effect.logInfo("another process takes this one's place"))
  yield* Effect.onExit(Effect.raceFirst(whole, handedOver), settle)
  yield* handover.finished
}, Effect.scoped)

interface Work {
  readonly job: JobConfig
  readonly plan: Plan
  readonly digest: string
  readonly status: Status
  readonly settings: Settings
  readonly savepoints: Savepoints
  /** Of savepoints. */
  readonly store: CheckpointStore
  readonly how: HowToRun
  readonly handover: Handover
  readonly questions: Questions
}

/** Waits for what the job needs, then runs it until it has ended. */
const work = Effect.fnUntraced(function* (all: Work) {
  const { job, settings, status, how } = all
  // What takes time of a processor, while others are waited for.
  const pool = yield* threads(status.units.length)
  const loaded = yield* loading(pool, settings.lanes, job.module)
  const { topics, settled } = yield* prepare(all)
  const whereabouts = yield* watch(all, topics)
  yield* settled
  yield* loaded
  const clocks = yield* align(all, topics)
  const running = { pool, topics, clocks, whereabouts }
  yield* how.predecessor === undefined ? toItsEnd(all, running) : inPlaceOf(how.predecessor, all, running)
})

const has = (status: Status, kind: Unit["kind"]): boolean => status.units.some(unit => unit.kind === kind)

/**
 * Waits for Kafka, begins with the savepoint if there is one, and sees to the topics: how many partitions each has. The other
 * servers and what topics are set to are looked at beside that, until `settled`.
 */
const prepare = Effect.fnUntraced(function* (all: Work) {
  const { job, plan, status, how } = all
  const { kafka, others } = serversOf(job, has(status, "clickhouse"))
  const rest = yield* Effect.forkChild(awaitNeeds(others, status))
  yield* awaitNeeds([kafka], status)
  if (how.from !== undefined) yield* Effect.andThen(Fiber.join(rest), startFrom(all, how.from))
  const filled = plan.nodes.filter(isTable).filter(({ id }) => status.units.some(unit => unit.nodeId === id))
  const clients = kafkaClients(job.kafka)
  const topics = yield* Effect.provide(prepareTopics(plan, job), clients)
  const checked = yield* Effect.forkChild(Effect.provide(checkTopics(plan, job, filled), clients))
  return { topics, settled: Effect.andThen(Fiber.join(checked), Fiber.join(rest)) }
})

type Topics = ReadonlyMap<string, number>

/** What is known of the lanes as they run, and what is done about it from outside of them. */
const watch = Effect.fnUntraced(function* ({ job, plan, status, savepoints }: Work, topics: Topics) {
  const whereabouts = Whereabouts.of(inputPartitions(plan, job.app, topics), job.lanes)
  status.whereabouts = whereabouts
  if (has(status, "lane")) status.checkpoints = new Checkpoints(job.checkpoint.intervalMs, Date.now())
  yield* Effect.forkScoped(announce(status))
  yield* Effect.forkScoped(warnOfState(status, job.state.directory))
  yield* Effect.forkScoped(savepoints.end)
  return whereabouts
})

/** What lanes share of how far aligned partitions are, those of other processes among them. */
const align = Effect.fnUntraced(function* ({ job, plan, status }: Work, topics: Topics) {
  const partitions = alignedPartitions(plan, topics)
  const clocks = GroupClocks.bufferOf(partitions, job.lanes)
  if (!has(status, "lane") || partitions.length === 0) return clocks
  const { latest: marks, ends } = yield* Effect.provide(
    Effect.flatMap(Clients, ({ offsets }) => offsets(groupName(job))),
    kafkaClients(job.kafka)
  )
  const held = () => status.holdsBack
  status.elsewhere = new Elsewhere({ partitions, clocks, marks, ends, held }, Date.now())
  yield* Effect.forkScoped(status.elsewhere.run)
  return clocks
})

type Running = Pick<Supervised, "pool" | "topics" | "clocks" | "whereabouts">

/** All threads, until they have ended. */
const supervised = (all: Work, running: Running, admission?: Admission) => {
  const { job, plan, digest, status, settings, savepoints, questions } = all
  return supervise({
    ...running,
    ...(admission === undefined ? {} : { admission }),
    questions,
    job,
    digest,
    units: status.units,
    stopWithinMs: STOP_WITHIN_MS,
    restarts: defaultRestarts,
    watchdog: {
      afterMs: settings.watchdog.after + job.commitIntervalMs,
      action: settings.watchdog.action,
      sources: inputTopics(plan, job.app),
      away: awayOf(job, has(status, "clickhouse")),
      onStall: (unit, reason) => status.stall(unit, reason),
      onStanding: (unit, reason) => status.stand(unit, reason)
    },
    checkpoints: status.checkpoints,
    orders: savepoints.orders,
    onEvent: (event, unit) => (event === "restart" ? status.restarted(unit) : void status.forced++)
  })
}

/** Goes on where the process at this URL is, once that has stopped for it. */
const inPlaceOf = Effect.fnUntraced(function* (predecessor: string, all: Work, running: Running) {
  const { job, status, handover } = all
  const admission = { lanes: yield* Deferred.make<void>(), rest: yield* Deferred.make<void>() }
  const taking = takeOver(predecessor, job, handover.identity, status, admission, holdInstance(job))
  yield* Effect.raceFirst(supervised(all, running, admission), Effect.andThen(taking, Effect.never))
})

/** Runs until the job is told to end, or has nothing left to do, and takes the savepoint that is asked for with that. */
const toItsEnd = Effect.fnUntraced(function* (all: Work, running: Running) {
  const { job, plan, savepoints, how } = all
  const whole = supervised(all, running)
  const ends = how.bounded && endWhenDone(plan, job, savepoints, how.bounded)
  yield* ends === undefined ? whole : Effect.raceFirst(whole, Effect.andThen(ends, Effect.never))
  const savepoint = yield* savepoints.finish
  if (savepoint === undefined) return
  yield* Effect.logInfo(`stopped with the savepoint ${savepoint.id}`)
  if (how.bounded !== undefined) yield* Console.log(savepoint.id)
})

/** A process that is started again by whatever runs it does not fall back to the savepoint. */
const startFrom = Effect.fnUntraced(function* ({ job, plan, store }: Work, from: RestoreSavepoint) {
  const already = restoredFrom(job.app, from.id).pipe(Effect.provide(servicesOf(job)))
  if (!from.force && (yield* already))
    return yield* Effect.logInfo(`started from the savepoint ${from.id} before: goes on from its own state`)
  yield* Effect.logInfo(showRestore(yield* restore(plan, job, store, from)))
})

const stopped = Effect.fnUntraced(function* (status: Status) {
  process.exitCode = status.forced === 0 ? 0 : 1
  yield* Effect.logInfo(status.forced === 0 ? "stopped cleanly" : "stopped; what was not committed is read again")
})

/** Says once when everything runs. */
const announce = Effect.fnUntraced(function* (status: Status) {
  while (status.reasons().length > 0) yield* Effect.sleep(20)
  status.startupMs = Date.now() - status.startedAt
  yield* Effect.logInfo(`running, ${Math.round(status.startupMs)} ms after the start`)
})

const lanesOf = (count: number): Unit[] =>
  Array.from({ length: count }, (_, index) => ({
    kind: "lane",
    index,
    name: `lane ${index}`,
    metrics: new LaneMetrics()
  }))

/** The tables that this process fills, as chosen by `sinks`. */
const tablesOf = Effect.fnUntraced(function* (plan: Plan, settings: Settings) {
  const all = plan.nodes.filter(isTable)
  const chosen = all.filter(node => isChosen(node.table, settings.sinks))
  if (chosen.length > 0 && settings.clusters.clickhouse === undefined) {
    const names = chosen.map(node => node.table).join(", ")
    const message = `the pipeline fills ClickHouse tables (${names}): give --clickhouse http://host:8123, or --sinks none`
    return yield* new ConfigError({ message })
  }
  if (chosen.length > 0 && isEmbedded(settings.clusters.clickhouse!.url)) yield* embeddedIsThere
  const unknown = unknownTables(all, settings.sinks)
  if (unknown.length > 0) {
    const message = `sinks: the pipeline has no table ${unknown.join(", ")}; it has ${all.map(n => n.table).join(", ") || "none"}`
    return yield* new ConfigError({ message })
  }
  return chosen.map(unitOf)
})

/** The binary leaves out the engine of the embedded ClickHouse (half a gigabyte); npm may have, too. */
const embeddedIsThere = Effect.gen(function* () {
  const library = yield* Effect.promise(() =>
    import("chdb/libchdb").then(
      ({ tryResolveLibchdb }) => tryResolveLibchdb(),
      () => null
    )
  )
  if (library) return
  const how = compiled
    ? "this binary has none: give a server, --clickhouse http://host:8123, or run from a checkout of Headrace: bun packages/app/src/main.ts run …"
    : "chdb is not in node_modules: npm ci --include=optional"
  return yield* new ConfigError({ message: `the embedded ClickHouse (chdb:/directory) cannot run: ${how}` })
})

type Table = Extract<Node, { kind: "clickhouseSink" }>
const isTable = (node: Node): node is Table => node.kind === "clickhouseSink"

const isChosen = (table: string, sinks: Settings["sinks"]): boolean =>
  typeof sinks === "string" ? sinks === "all" : sinks.includes(table)

const unknownTables = (all: readonly Table[], sinks: Settings["sinks"]): readonly string[] =>
  typeof sinks === "string" ? [] : sinks.filter(name => !all.some(node => node.table === name))

const unitOf = (node: Table, index: number): Unit => ({
  kind: "clickhouse",
  index,
  name: `table ${node.table}`,
  nodeId: node.id,
  metrics: new LaneMetrics()
})
