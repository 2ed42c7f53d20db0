import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer, type IncomingMessage, request, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ClickHouse, type Kafka, type Registry, startClickHouse, startRegistry } from "@headrace/dev"
import { Admin, PRODUCER_DEFAULTS, Producer } from "@headrace/kafka"
import { Schema } from "effect"
import { apiOf, clientOf, HoldingProxy, startBehind } from "../../packages/kafka/test/proxy.ts"
import { Headrace, poll } from "../support/headrace.ts"
import { createTopic, receive, type Servers, send } from "../support/records.ts"
import { rowsOf } from "../support/sql.ts"

let behind: Awaited<ReturnType<typeof startBehind>>
let kafka: Kafka
let registry: Registry
let clickhouse: ClickHouse
let servers: Servers
let directory: string
const FETCH = 1
const JOIN_GROUP = 11
/** Before the broker: the answer to what a lane or a table asks for does not come when it is held. */
let holds = (_frame: Buffer): boolean => false
const proxy = new HoldingProxy(frame => holds(frame))
/** Far longer than a start takes on a busy machine: what starts does not get on either. Who joins has five times as long. */
const [HANGS_AFTER, JOINS_AFTER] = ["6 seconds", "3 seconds"]
const started: Headrace[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-watchdog-"))
  ;[behind, registry, clickhouse] = await Promise.all([startBehind(proxy), startRegistry(), startClickHouse()])
  kafka = behind.kafka
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
})

afterAll(async () => {
  await Promise.all(started.map(one => one.kill()))
  await Promise.all([behind?.stop(), registry?.stop(), clickhouse?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const Item = Schema.Struct({ id: Schema.Int }).annotate({ identifier: "Item" })

/** Starts a job that copies a topic; `each` runs for every item. `tables`: a ClickHouse that it fills as well. */
const start = async (topic: string, settings: object, each = "", tables?: string): Promise<Headrace> => {
  await writeFile(
    join(directory, `${topic}.ts`),
    `import { Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"

const Item = Schema.Struct({ id: Schema.Int }).annotate({ identifier: "Item" })
export default Pipeline.make("${topic}")
  .from(Source.kafka("${topic}", Item))
  .filter(item => {
    ${each}
    return item.id >= 0
  })
  .to(Sink.kafka("${topic}.out", Item)${tables === undefined ? "" : `, Sink.clickhouse("${topic}")`})
`
  )
  // JSON is YAML.
  const file = join(directory, `${topic}.yaml`)
  await writeFile(file, JSON.stringify({ pipeline: `./${topic}.ts`, lanes: 1, ...settings }))
  const one = new Headrace(file, {
    clusters: {
      kafka: kafka.bootstrap,
      registry: registry.url,
      ...(tables === undefined ? {} : { clickhouse: tables })
    },
    checkpoints: join(directory, "checkpoints", topic)
  })
  started.push(one)
  return one
}

const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
const sendItems = (topic: string, from: number, to: number) =>
  send(
    servers,
    topic,
    Item,
    ids(from, to).map(id => ({ key: "one", partition: 0, id }))
  )

const copied = async (topic: string): Promise<number[]> =>
  (await receive(servers, `${topic}.out`, Item)).map(({ value }) => Number(value.id))

/** Waits until this many were copied, and checks that it is those, once and in order. */
const copies = async (topic: string, headrace: Headrace, expected: readonly number[]): Promise<void> => {
  const log = () => headrace.log
  await poll(async () => !headrace.running || (await copied(topic)).length >= expected.length, log)
  expect(headrace.running ? "running" : headrace.log).toBe("running")
  expect(await copied(topic)).toEqual([...expected])
}

test("an endless loop at a record is found, named, started again, and then stops the job", async () => {
  const topic = "loops"
  const named = "its thread hangs in the pipeline's functions at loops/0 offset 12"
  const loop = "while (item.id === 12);"
  await createTopic(servers, topic, 1)
  await sendItems(topic, 0, 10)
  const warns = await start(topic, { watchdog: { after: HANGS_AFTER, action: "warn" } }, loop)
  await copies(topic, warns, ids(0, 10))
  await sendItems(topic, 10, 20)
  await warns.says(new RegExp(`WARN  lane 0: stalled for \\d+ s: ${named}`))
  const [ready, live] = await Promise.all([fetch(`${warns.url}/health/ready`), fetch(`${warns.url}/health/live`)])
  expect([ready.status, live.status]).toEqual([503, 200])
  expect(await ready.text()).toContain(named)
  expect(await live.text()).toContain(named)
  expect(await warns.metric("headrace_stalled", 'unit="lane 0"')).toBe(1)
  await warns.kill()

  const loops = await start(topic, { watchdog: { after: HANGS_AFTER } }, loop)
  await loops.says(new RegExp(`lane 0: failed, starts again from what is committed in \\d+ ms: stalled .* ${named}`))
  expect(await loops.ended()).toBe(1)
  expect(loops.log).toMatch(new RegExp(`lane 0 failed 3 times in a row, the last time with: stalled .* ${named}`))

  const stops = await start(topic, { watchdog: { after: HANGS_AFTER, action: "stop" } }, loop)
  expect(await stops.ended()).toBe(1)
  expect(stops.log).toContain(named)
  expect(stops.log).not.toContain("starts again")
  const mended = await start(topic, {})
  await copies(topic, mended, ids(0, 20))
  expect(await mended.stop()).toBe(0)
})

/** Leaves a transaction open behind one record of it, until what this answers with aborts it. */
const openTransaction = async (topic: string): Promise<() => Promise<void>> => {
  const config = {
    ...PRODUCER_DEFAULTS,
    "bootstrap.servers": kafka.bootstrap,
    "transactional.id": `somebody-${topic}`,
    "transaction.timeout.ms": "300000"
  }
  const producer = Producer.open(config)
  const id = producer.topicId(topic)
  await producer.initTransactions(30_000)
  producer.begin()
  const index = Int32Array.of(id, 0, 0, -1, 0, 1, 0, 0)
  producer.produce({ bytes: new Uint8Array(1), index, stamps: new Float64Array(1) }, 0, 1)
  await producer.flush(30_000)
  return async () => {
    await producer.abort(30_000)
    await producer.close()
  }
}

test("what stands behind a transaction that somebody else leaves open is told apart from other lag, and named", async () => {
  const topic = "blocked"
  await createTopic(servers, topic, 1)
  await sendItems(topic, 0, 10)
  const headrace = await start(topic, { watchdog: { after: HANGS_AFTER } })
  await copies(topic, headrace, ids(0, 10))
  const abort = await openTransaction(topic)
  const gauge = (name: string) => headrace.metric(name, 'unit="lane 0"')
  const blocked = async () =>
    (await gauge("headrace_blocked_records")) === 1 && (await gauge("headrace_lag_records")) === 1
  await poll(
    async () => !headrace.running || (await blocked()),
    () => headrace.log
  )
  const named = "blocked/0 has stood still for \\d+ s: a transaction of a producer is open there"
  await headrace.says(new RegExp(`WARN {2}lane 0: ${named}.*find-hanging --topic blocked --partition 0`))
  const ready = await fetch(`${headrace.url}/health/ready`)
  expect(ready.status).toBe(200)
  expect(await ready.text()).toMatch(new RegExp(named))
  await sendItems(topic, 10, 20)
  await abort()
  await copies(topic, headrace, ids(0, 20))
  await poll(
    async () => (await gauge("headrace_blocked_records")) === 0,
    () => headrace.log
  )
  await headrace.says(/lane 0: all of its partitions get on again/)
  // A restart would not have helped.
  expect(headrace.log).not.toContain("starts again")
  expect(await headrace.stop()).toBe(0)
})

const deleteBefore = async (topic: string, offset: number): Promise<void> => {
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  await admin.deleteRecords([{ topic, partition: 0, offset }])
  await admin.close()
}

test("retention that overtakes a lane which runs is found at once, and treated by policy", async () => {
  const topic = "overtaken"
  await createTopic(servers, topic, 1)
  await sendItems(topic, 0, 10)
  const headrace = await start(topic, { offsets: { lost: "earliest" } })
  await copies(topic, headrace, ids(0, 10))
  // Offset 10 keeps the lane from 11 and the others.
  const abort = await openTransaction(topic)
  await sendItems(topic, 10, 15)
  await deleteBefore(topic, 13)
  await headrace.says(/WARN .*The log does not have the next offset of overtaken\/0 any more/)
  await headrace.says(/ERROR Offsets 10 to 12 of overtaken\/0 .* it goes on at 13/)
  await abort()
  await copies(topic, headrace, [...ids(0, 10), ...ids(12, 15)])
  expect(await headrace.stop()).toBe(0)
})

test("a committed offset that is not in the log any more: stop, earliest, latest", async () => {
  const topic = "retained"
  await createTopic(servers, topic, 1)
  await sendItems(topic, 0, 10)
  const first = await start(topic, {})
  await copies(topic, first, ids(0, 10))
  expect(await first.stop()).toBe(0)
  await sendItems(topic, 10, 20)
  await deleteBefore(topic, 15)

  const stops = await start(topic, {})
  expect(await stops.ended()).toBe(1)
  expect(stops.log).toContain("Offsets 10 to 14 of retained/0 were removed from the log")
  expect(stops.log).toContain("set offsets.lost to earliest (from 15) or latest (from 20)")

  const earliest = await start(topic, { offsets: { lost: "earliest" } })
  await copies(topic, earliest, [...ids(0, 10), ...ids(15, 20)])
  expect(earliest.log).toMatch(/ERROR Offsets 10 to 14 of retained\/0 .* it goes on at 15/)
  expect(await earliest.metric("headrace_lost_offsets_total", 'kind="lane"')).toBe(5)
  expect(await earliest.stop()).toBe(0)

  // Changelog and offsets are together: what comes next needs no policy.
  const next = await start(topic, {})
  await sendItems(topic, 20, 25)
  await copies(topic, next, [...ids(0, 10), ...ids(15, 25)])
  expect(await next.stop()).toBe(0)
  await sendItems(topic, 25, 30)
  await deleteBefore(topic, 27)

  const latest = await start(topic, { offsets: { lost: "latest" } })
  await latest.says(/ERROR Offsets 25 to 26 of retained\/0 .* it goes on at 30/)
  await latest.reaches("headrace_commits_total", 1)
  expect(await latest.stop()).toBe(0)
  // The leap was committed without a record: those that came meanwhile are not left behind as well.
  await sendItems(topic, 30, 35)
  const last = await start(topic, {})
  await copies(topic, last, [...ids(0, 10), ...ids(15, 25), ...ids(30, 35)])
  expect(await last.stop()).toBe(0)
})

const health = async ({ url }: Headrace): Promise<string> => (await fetch(`${url}/health/ready`)).text()

test("a lane that had read all, and whose fetches are not answered any more, is named, and started again", async () => {
  const topic = "unfetched"
  await createTopic(servers, topic, 1)
  await sendItems(topic, 0, 10)
  const headrace = await start(topic, { watchdog: { after: HANGS_AFTER } })
  await copies(topic, headrace, ids(0, 10))
  holds = frame => apiOf(frame) === FETCH && clientOf(frame).endsWith("0")
  // The client gives one up after a while, and asks again.
  proxy.hold(Number.POSITIVE_INFINITY)
  await poll(
    async () => proxy.held,
    () => headrace.log
  )
  await sendItems(topic, 10, 20)
  const named = "it reads nothing, though there is something to read; lag 10"
  await headrace.says(new RegExp(`WARN {2}lane 0: stalled for \\d+ s: ${named}`))
  expect(await health(headrace)).toContain(named)
  await headrace.says(/lane 0: failed, starts again from what is committed in \d+ ms: stalled/)
  await proxy.release()
  await copies(topic, headrace, ids(0, 20))
  expect(await headrace.stop()).toBe(0)
})

test("a lane and a table whose groups do not answer are named, and started again", async () => {
  const topic = "unanswered"
  await createTopic(servers, topic, 1)
  await sendItems(topic, 0, 10)
  holds = frame => apiOf(frame) === JOIN_GROUP
  const units = ["lane 0", `table ${topic}`]
  proxy.hold(units.length)
  const settings = { watchdog: { after: JOINS_AFTER }, checkpoint: { interval: "1 second" } }
  const headrace = await start(topic, settings, "", clickhouse.url)
  const log = () => headrace.log
  for (const unit of units)
    await headrace.says(new RegExp(`WARN {2}${unit}: stalled for \\d+ s: its group does not let it in`))
  expect(proxy.held).toBe(true)
  const said = await health(headrace)
  for (const unit of units)
    expect(said).toMatch(new RegExp(`${unit}: stalled for \\d+ s: its group does not let it in`))
  for (const unit of units)
    await headrace.says(new RegExp(`${unit}: failed, starts again from what is committed in \\d+ ms: stalled`))
  // The answers to their second attempts are not held.
  await copies(topic, headrace, ids(0, 10))
  await poll(
    async () =>
      (await headrace.metric("headrace_ready")) === 1 &&
      (await headrace.metric("headrace_checkpoints_completed_total")) > 0,
    log
  )
  const rows = () => rowsOf<{ id: string }>(clickhouse.url, `SELECT id FROM ${topic} ORDER BY id`)
  await poll(async () => (await rows()).length >= 10, log)
  expect((await rows()).map(({ id }) => Number(id))).toEqual(ids(0, 10))
  expect(await headrace.stop()).toBe(0)
})

/** Passes everything on to ClickHouse, but never answers an insert into a table. */
const deaf = async (url: string): Promise<Server> => {
  const pass = (from: IncomingMessage, body: Buffer, to: import("node:http").ServerResponse) => {
    const { pathname, search } = new URL(from.url!, url)
    if (/INSERT INTO/.test(`${decodeURIComponent(search)} ${body.subarray(0, 200).toString("latin1")}`)) return
    const { method, headers } = from
    const passed = request(new URL(`${pathname}${search}`, url), { method, headers }, answer => {
      to.writeHead(answer.statusCode!, answer.headers)
      answer.pipe(to)
    })
    passed.on("error", () => to.destroy())
    passed.end(body)
  }
  const server = createServer((from, to) => {
    const parts: Buffer[] = []
    from.on("data", (part: Buffer) => parts.push(part))
    from.on("end", () => pass(from, Buffer.concat(parts), to))
  })
  await new Promise<void>(resolve => server.listen(0, "127.0.0.1", resolve))
  return server
}

test("a table whose server takes rows and never answers is named, and stops the job where the policy says so", async () => {
  const topic = "hung"
  await createTopic(servers, topic, 1)
  await sendItems(topic, 0, 10)
  const server = await deaf(clickhouse.url)
  const { port } = server.address() as AddressInfo
  try {
    const watchdog = { after: HANGS_AFTER, action: "stop" }
    const headrace = await start(topic, { watchdog }, "", `http://127.0.0.1:${port}`)
    const named = /WARN {2}table hung: stalled for \d+ s: \d+ bytes of output are not taken by their server/
    await headrace.says(named)
    expect(await health(headrace)).toContain("are not taken by their server")
    expect(await headrace.ended()).toBe(1)
    expect(headrace.log).toMatch(/table hung: stalled for \d+ s: \d+ bytes of output are not taken/)
  } finally {
    server.closeAllConnections()
    server.close()
  }
})
