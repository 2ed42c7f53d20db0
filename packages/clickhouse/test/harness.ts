import { type CommittedLog, type GroupChange, LaneMetrics } from "@headrace/engine"
import { Effect, Exit, Fiber, Schema, Scope } from "effect"
import { columnsOf } from "../src/columns.ts"
import type { ClickHouseError } from "../src/errors.ts"
import { appendWith } from "../src/intake.ts"
import { compileRows } from "../src/rows.ts"
import { connect, type ServerConfig, type ServerShape } from "../src/server.ts"
import { runSink, type SinkOptions } from "../src/sink.ts"
import { prepareTable, type TableOptions } from "../src/tables.ts"
import { makeTarget, type Target } from "../src/target.ts"
import { MemoryMember, type MemoryTopic } from "./memory-log.ts"
import { encodePlain, plainDecoder } from "./plain-format.ts"

export const Event = Schema.Struct({ id: Schema.Int, account: Schema.String, kind: Schema.Literals(["a", "b"]) })
const SPANS = ["account"]
export const COLUMNS = columnsOf(Event, "events")

let made = 0
export const uniqueName = (prefix: string): string => `${prefix}_${process.pid}_${made++}`

export const fill = (topic: MemoryTopic, count: number): void => {
  for (let i = 0; i < count; i++) {
    const partition = i % topic.partitions.length
    if (i % 11 === 0) topic.gap(partition, 1 + (i % 3))
    topic.append(partition, encodePlain({ id: i, account: `account ü ${i}`, kind: i % 2 ? "a" : "b" }, SPANS))
  }
}

export const withServer = async <A>(config: ServerConfig, use: (server: ServerShape) => Promise<A>): Promise<A> => {
  const scope = Scope.makeUnsafe()
  try {
    return await use(await Effect.runPromise(Scope.provide(connect(config), scope)))
  } finally {
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }
}

export const targetOf = async (
  server: ServerShape,
  table: string,
  topic: string,
  options?: TableOptions
): Promise<Target> => {
  const ready = await Effect.runPromise(prepareTable(server, table, COLUMNS, options))
  return Effect.runPromise(makeTarget(server, ready, COLUMNS, topic))
}

export interface Running {
  readonly metrics: LaneMetrics
  /** Resolves when the sink ended by itself: how. */
  readonly ended: Promise<Exit.Exit<never, ClickHouseError>>
  readonly stop: () => Promise<void>
}

/** A sink on any log. Small blocks, so that there are many. */
export const startOn = (
  topic: string,
  log: CommittedLog,
  table: string,
  target: Target,
  options: SinkOptions = {}
): Running => {
  const decoder = plainDecoder(["id", "account", "kind"], SPANS)
  const append = appendWith(topic, decoder, compileRows(COLUMNS, decoder, topic))
  const metrics = new LaneMetrics()
  const parts = { topic, table, log, target, decoder, append, metrics }
  const fiber = Effect.runFork(
    runSink({ ...parts, options: { intervalMs: 5, blockBytes: 2000, pollRecords: 60, doubtMs: 0, ...options } })
  )
  const ended = Effect.runPromise(Fiber.await(fiber))
  return { metrics, ended, stop: () => Effect.runPromise(Fiber.interrupt(fiber)) }
}

export const start = (
  topic: MemoryTopic,
  table: string,
  target: Target,
  options: SinkOptions = {},
  member = new MemoryMember(topic)
): Running & {
  readonly member: MemoryMember
  /** Tells the sink of a change, and waits until it has taken it in. */
  readonly changes: (type: GroupChange["type"], partitions: readonly number[]) => Promise<void>
} => ({
  ...startOn(topic.name, member, table, target, options),
  member,
  changes: async (type, partitions) => {
    member.change(type, partitions)
    const before = member.polls
    // The poll that hands it over, and the next one, which comes after it.
    await until(() => member.polls >= before + 2)
  }
})

/** Waits for something that must come about; the test's own time-out ends it. */
export const until = async (check: () => boolean | Promise<boolean>): Promise<void> => {
  while (!(await check())) await new Promise(resolve => setTimeout(resolve, 5))
}

export interface Counted {
  readonly rows: number
  readonly distinct: number
}

export const rowsIn = async (server: ServerShape, sql: string): Promise<Counted> => {
  const [row] = await Effect.runPromise(server.query(sql))
  return { rows: Number(row!.rows), distinct: Number(row!.distinct) }
}
