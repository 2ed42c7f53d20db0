import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { connect, countSql, type ServerShape } from "@headrace/clickhouse"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Effect, Schema } from "effect"
import { standsAtEnd } from "../../packages/kafka/test/support.ts"
import { Headrace, poll } from "../support/headrace.ts"
import { createTopic, type Servers, send } from "../support/records.ts"

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string
const started: Headrace[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-embedded-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
})

afterAll(async () => {
  await Promise.all(started.map(one => one.kill()))
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const Item = Schema.Struct({ id: Schema.Int, name: Schema.String }).annotate({ identifier: "Item" })
const PIPELINE = `import { Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"

const Item = Schema.Struct({ id: Schema.Int, name: Schema.String }).annotate({ identifier: "Item" })
const items = Pipeline.make("embedded").from(Source.kafka("items", Item))
export default Pipeline.all(
  items.to(Sink.kafka("items.all", Item), Sink.clickhouse("items")),
  items.filter(item => item.id % 2 === 0).to(Sink.kafka("items.even", Item), Sink.clickhouse("evens"))
)
`

const url = () => `chdb:${join(directory, "clickhouse")}`

/** With the embedded ClickHouse in this process, which no other can use meanwhile. */
const withClickHouse = <A>(use: (server: ServerShape) => Promise<A>): Promise<A> =>
  Effect.runPromise(
    Effect.scoped(
      Effect.flatMap(connect({ url: url(), database: "default" }), server => Effect.promise(() => use(server)))
    )
  )

const start = (): Headrace => {
  const clusters = { kafka: kafka.bootstrap, registry: registry.url, clickhouse: url() }
  const flags = ["--lanes", "1"]
  const one = new Headrace(join(directory, "pipeline.ts"), { clusters, checkpoints: join(directory, "state"), flags })
  started.push(one)
  return one
}

const sendItems = (from: number, to: number) =>
  send(
    servers,
    "items",
    Item,
    Array.from({ length: to - from }, (_, i) => ({ key: `${i % 7}`, id: from + i, name: `item ${from + i}` }))
  )

/** Waits until the tables got this many rows since the start. */
const filled = (headrace: Headrace, rows: number): Promise<boolean> =>
  poll(
    async () => (await headrace.metric("headrace_records_out_total", 'kind="clickhouse"')) >= rows,
    () => headrace.log
  )

/** Whether a group stands at the end of a topic: a table's, that everything is in the table and no block is open. */
const stands = (group: string, topic: string): Promise<boolean> =>
  standsAtEnd(
    kafka.bootstrap,
    group,
    [0, 1].map(partition => ({ topic, partition }))
  )

/** Waits until everything that was sent is in the tables. */
const through = (headrace: Headrace): Promise<boolean> =>
  poll(
    // What the lane has read it has committed as well, with the outputs.
    async () =>
      (await stands("embedded", "items")) &&
      (await stands("embedded-clickhouse:items", "items.all")) &&
      (await stands("embedded-clickhouse:evens", "items.even")),
    () => headrace.log
  )

test("two tables in an embedded ClickHouse: waits for its directory, survives kill -9, each record once", async () => {
  await writeFile(join(directory, "pipeline.ts"), PIPELINE)
  await createTopic(servers, "items", 2)
  await sendItems(0, 1000)
  const first = await withClickHouse(async () => {
    const waiting = start()
    await waiting.says(
      /waiting and trying again: the embedded ClickHouse cannot open .*; does another process use it\?/
    )
    return waiting
  })
  await filled(first, 1500)
  await sendItems(1000, 3000)
  await filled(first, 1600)
  await first.kill()
  await sendItems(3000, 4000)
  const second = start()
  await filled(second, 1500)
  expect(await second.stop()).toBe(0)
  // It may not have come to the end.
  const third = start()
  await sendItems(4000, 4100)
  await through(third)
  expect(await third.stop()).toBe(0)
  expect(await counts()).toEqual([
    { rows: 4100, distinct: 4100 },
    { rows: 2050, distinct: 2050 }
  ])
})

/** Of both tables; while no job runs. */
const counts = () =>
  withClickHouse(async server => {
    const count = async (table: string) => {
      const [found] = await Effect.runPromise(server.query(countSql("default", table)))
      return { rows: Number(found!.rows), distinct: Number(found!.distinct) }
    }
    return [await count("items"), await count("evens")]
  })
