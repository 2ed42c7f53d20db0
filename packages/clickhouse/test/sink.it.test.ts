import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { type ClickHouse, startClickHouse } from "@headrace/dev"
import { LaneMetrics, PHASES } from "@headrace/engine"
import { Effect, Exit, Fiber, Scope } from "effect"
import { countSql } from "../src/audit.ts"
import { connect, type ServerShape } from "../src/server.ts"
import { runClickHouseSink } from "../src/task.ts"
import { Event, fill, rowsIn, start, targetOf, uniqueName, until } from "./harness.ts"
import { MemoryMember, MemoryTopic } from "./memory-log.ts"
import { plainDecoder } from "./plain-format.ts"
import { sinkSuite } from "./suite.ts"

setDefaultTimeout(60_000)

const scope = Scope.makeUnsafe()
let clickhouse: ClickHouse
let server: ServerShape
beforeAll(async () => {
  clickhouse = await startClickHouse()
  server = await Effect.runPromise(Scope.provide(connect({ url: clickhouse.url, database: uniqueName("db") }), scope))
})
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await clickhouse?.stop()
})

sinkSuite("HTTP", () => server)

test("HTTP: the server is killed in mid-run and comes back; memory stays bounded meanwhile", async () => {
  const topic = new MemoryTopic(uniqueName("topic"), 4)
  const table = uniqueName("events")
  const target = await targetOf(server, table, topic.name)
  fill(topic, 2000)
  const sink = start(topic, table, target, { blockBytes: 20_000 })
  await until(() => sink.metrics.get("recordsOut") > 0)
  await clickhouse.kill()
  fill(topic, 6000)
  await until(() => sink.metrics.get("phase") === PHASES.indexOf("waiting"))
  await until(() => sink.metrics.get("bufferedBytes") >= 20_000)
  const polls = sink.member.polls
  await until(() => sink.member.polls > polls + 5)
  expect(sink.metrics.get("bufferedBytes")).toBeLessThan(60_000)
  // What it does not read at the moment counts, too.
  await until(() => sink.metrics.get("lag") >= 6000)
  await clickhouse.restart()
  await until(() => sink.metrics.get("recordsOut") === topic.records)
  await until(() => sink.metrics.get("lag") === 0)
  await sink.stop()
  expect(await rowsIn(server, countSql(server.database, table))).toEqual({
    rows: topic.records,
    distinct: topic.records
  })
})

test("HTTP: what the group gives while the server is away is lag, though nothing of it can be taken up", async () => {
  const topic = new MemoryTopic(uniqueName("topic"), 4)
  const table = uniqueName("events")
  const target = await targetOf(server, table, topic.name)
  fill(topic, 200)
  await clickhouse.kill()
  const sink = start(topic, table, target)
  const offsets = [0, 1, 2, 3].reduce((sum, partition) => sum + topic.end(partition), 0)
  await until(() => sink.metrics.get("lag") === offsets)
  expect(sink.metrics.get("partitions")).toBe(0)
  await clickhouse.restart()
  await until(() => sink.metrics.get("recordsOut") === topic.records)
  await until(() => sink.metrics.get("lag") === 0)
  await sink.stop()
})

test("HTTP: the server is down when the sink starts; it waits, then makes the table and goes on", async () => {
  const topic = new MemoryTopic(uniqueName("topic"), 4)
  const node = { id: "sink", table: uniqueName("events"), topic: topic.name, schema: Event }
  fill(topic, 200)
  await clickhouse.kill()
  const metrics = new LaneMetrics()
  const decoder = plainDecoder(["id", "account", "kind"], ["account"])
  const config = { url: clickhouse.url, database: server.database }
  const sink = runClickHouseSink({ node, server: config, decoder, log: new MemoryMember(topic), metrics })
  const fiber = Effect.runFork(sink)
  await until(() => metrics.get("phase") === PHASES.indexOf("waiting"))
  await clickhouse.restart()
  await until(() => metrics.get("recordsOut") === topic.records)
  await Effect.runPromise(Fiber.interrupt(fiber))
  const rows = topic.records
  expect(await rowsIn(server, countSql(server.database, node.table))).toEqual({ rows, distinct: rows })
})
