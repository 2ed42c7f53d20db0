import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { type ClickHouse, startClickHouse } from "@headrace/dev"
import { PHASES } from "@headrace/engine"
import { Effect, Exit, Scope } from "effect"
import { countSql } from "../src/audit.ts"
import { connect, type ServerShape } from "../src/server.ts"
import { fill, rowsIn, start, targetOf, uniqueName, until } from "./harness.ts"
import { MemoryTopic } from "./memory-log.ts"
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
  await clickhouse.restart()
  await until(() => sink.metrics.get("recordsOut") === topic.records)
  await sink.stop()
  expect(await rowsIn(server, countSql(server.database, table))).toEqual({
    rows: topic.records,
    distinct: topic.records
  })
})
