import {
  type CommittedLog,
  CommittedLogs,
  type JobConfig,
  type LaneMetrics,
  type LogError,
  type PreparedDecoder,
  sinkGroup
} from "@headrace/engine"
import { Effect, type Scope } from "effect"
import type { ClickHouseSinkNode } from "headrace"
import { type Column, columnsOf } from "./columns.ts"
import { ClickHouseError, LogStopped } from "./errors.ts"
import { appendWith } from "./intake.ts"
import { Patience } from "./patience.ts"
import { compileRows } from "./rows.ts"
import { connect, type ServerConfig, type ServerShape } from "./server.ts"
import { runSink, type SinkOptions } from "./sink.ts"
import { prepareTable, type TableOptions } from "./tables.ts"
import { makeTarget, type Target } from "./target.ts"

export interface ClickHouseSink {
  readonly node: Pick<ClickHouseSinkNode, "id" | "table" | "topic" | "schema">
  readonly server: ServerConfig
  readonly decoder: PreparedDecoder
  readonly log: CommittedLog
  readonly metrics: LaneMetrics
  readonly options?: SinkOptions & TableOptions
}

/**
 * One sink, from the connection to the last row: runs until it is interrupted (which leaves everything in order), or
 * fails with what a person must mend. A server that is down, at start too, is waited for.
 */
export const runClickHouseSink = (sink: ClickHouseSink): Effect.Effect<never, ClickHouseError> =>
  Effect.scoped(
    Effect.gen(function* () {
      const { node, decoder, options } = sink
      const columns = yield* Effect.try({
        try: () => columnsOf(node.schema, node.table),
        catch: error => error as ClickHouseError
      })
      const target = yield* prepareTarget(sink, columns)
      const append = appendWith(node.topic, decoder, compileRows(columns, decoder, node.topic))
      return yield* runSink({ ...sink, ...node, target, append, ...(options && { options }) })
    })
  )

/** `runClickHouseSink` for a job: opens the log by the service, takes server and group from the configuration. */
export const runJobSink = (
  job: JobConfig,
  node: ClickHouseSink["node"],
  decoder: PreparedDecoder,
  metrics: LaneMetrics,
  options?: SinkOptions & TableOptions
): Effect.Effect<never, ClickHouseError, CommittedLogs> =>
  Effect.scoped(
    Effect.gen(function* () {
      const log = yield* openLog(job, node)
      const server = serverOf(job)
      const all = { lost: job.lostOffsets, ...options }
      return yield* runClickHouseSink({ node, server, decoder, log, metrics, options: all })
    })
  )

const openLog = (
  job: JobConfig,
  node: ClickHouseSink["node"]
): Effect.Effect<CommittedLog, ClickHouseError, CommittedLogs | Scope.Scope> =>
  Effect.gen(function* () {
    const logs = yield* CommittedLogs
    const open = logs.open({
      topic: node.topic,
      group: sinkGroup(job.app, node.id),
      member: `${job.app}-${job.instance}-${node.id}`,
      sessionTimeoutMs: job.sessionTimeoutMs
    })
    return yield* Effect.mapError(open, error => logFailure(node.table, error))
  })

const logFailure = (table: string, error: LogError): ClickHouseError =>
  new ClickHouseError({ table, reason: new LogStopped({ message: error.message, cause: error }) })

const serverOf = (job: JobConfig): ServerConfig =>
  job.clickhouse ?? { url: "http://127.0.0.1:8123", database: "default" }

const prepareTarget = (
  { node, server: config, metrics, options }: ClickHouseSink,
  columns: readonly Column[]
): Effect.Effect<Target, ClickHouseError, Scope.Scope> =>
  Effect.gen(function* () {
    const patience = new Patience(node.table, metrics)
    const server = yield* patience.repeated(connect(config), isAway)
    return yield* patience.repeated(makeReady(server, node, columns, options), isAway)
  }).pipe(Effect.mapError(reason => new ClickHouseError({ table: node.table, reason })))

const isAway = ({ _tag }: { readonly _tag: string }): boolean => _tag === "Unavailable"

const makeReady = (
  server: ServerShape,
  node: ClickHouseSink["node"],
  columns: readonly Column[],
  options: TableOptions | undefined
) =>
  Effect.flatMap(prepareTable(server, node.table, columns, options), table =>
    makeTarget(server, table, columns, node.topic)
  )
