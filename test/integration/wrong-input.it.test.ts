import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  type ClickHouse,
  freePorts,
  type Kafka,
  type Registry,
  startClickHouse,
  startKafka,
  startRegistry
} from "@headrace/dev"
import { Schema } from "effect"
import { type Gate, gateTo } from "../support/gate.ts"
import { type Clusters, Headrace, poll } from "../support/headrace.ts"
import { createTopic, encoded, receive, receiveBytes, type Servers, send, sendBytes } from "../support/records.ts"
import { rowsOf } from "../support/sql.ts"

let kafka: Kafka
let registry: Registry
let clickhouse: ClickHouse
let servers: Servers
let directory: string
const started: Headrace[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-wrong-"))
  ;[kafka, registry, clickhouse] = await Promise.all([
    startKafka({ dataDir: join(directory, "kafka") }),
    startRegistry(),
    startClickHouse({ dataDir: join(directory, "clickhouse") })
  ])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
})

afterAll(async () => {
  await Promise.all(started.map(one => one.kill()))
  await Promise.all([kafka?.stop(), registry?.stop(), clickhouse?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const Item = Schema.Struct({ id: Schema.Int, name: Schema.String }).annotate({ identifier: "Item" })
/** What other producers send: other schemas, other ids, the newer one without a field that nobody reads. */
const older = { id: Schema.Int, name: Schema.String, size: Schema.Int, colour: Schema.String }
const OlderItem = Schema.Struct(older).annotate({ identifier: "Item" })
const NewerItem = Schema.Struct({ id: older.id, name: older.name, size: older.size }).annotate({ identifier: "Item" })

interface Job {
  readonly file: string
  readonly topic: string
  readonly out: string
}

/** A pipeline of its own for each test, which copies a topic; `source` goes into the source's options. */
const writeJob = async (topic: string, { source = "", table = false, filter = "item.id >= 0" } = {}): Promise<Job> => {
  const file = join(directory, `${topic}.ts`)
  const out = `${topic}.out`
  await writeFile(
    file,
    `import { Schema } from "effect"
import { DeadLetter, Pipeline, Sink, Source } from "headrace"

const Item = Schema.Struct({ id: Schema.Int, name: Schema.String }).annotate({ identifier: "Item" })
export default Pipeline.make("${topic}")
  .from(Source.kafka("${topic}", Item, { ${source} }))
  .filter(item => ${filter})
  .to(Sink.kafka("${out}", Item)${table ? `, Sink.clickhouse("${tableOf(topic)}")` : ""})
void DeadLetter
`
  )
  return { file, topic, out }
}
const tableOf = (topic: string): string => topic.replaceAll("-", "_")

const start = ({ file, topic }: Job, clusters: Partial<Clusters> = {}, flags: readonly string[] = []): Headrace => {
  const one = new Headrace(file, {
    clusters: { kafka: kafka.bootstrap, registry: registry.url, ...clusters },
    checkpoints: join(directory, "checkpoints", topic),
    flags: ["--lanes", "1", ...flags]
  })
  started.push(one)
  return one
}

const item = (id: number) => ({ key: `key-${id % 5}`, partition: 0, id, name: `item ${id}` })
const items = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => item(from + i))
const sendItems = (topic: string, from: number, to: number) => send(servers, topic, Item, items(from, to))
const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)

const copied = async ({ out }: Job): Promise<number[]> =>
  (await receive(servers, out, Item)).map(({ value }) => Number(value.id))

/** Waits until this many came out, and checks that it is those, once and in order. */
const expectCopied = async (job: Job, headrace: Headrace, expected: readonly number[]): Promise<void> => {
  const enough = async () => (await receiveBytes(kafka.bootstrap, job.out)).length >= expected.length
  await poll(
    async () => !headrace.running || (await enough()),
    () => headrace.log
  )
  expect(headrace.running ? "running" : headrace.log).toBe("running")
  expect(await copied(job)).toEqual([...expected])
}

test("a sink's schema that the registry refuses", async () => {
  const job = await writeJob("refused-schema")
  await createTopic(servers, job.topic, 1)
  const Other = Schema.Struct({ id: Schema.String }).annotate({ identifier: "Item" })
  await encoded(servers, job.out, Other, { id: "text" })
  const headrace = start(job)
  expect(await headrace.ended()).toBe(1)
  expect(headrace.log).toContain(`subject ${job.out}-value`)
  // No restart would mend it.
  expect(headrace.log).not.toContain("starts again")
})

describe("records that cannot be decoded", () => {
  /** A job stops at the bad record between good ones, and goes on once it may divert it. */
  const stopsThenDiverts = (topic: string, bad: () => Promise<Uint8Array>, says: RegExp) =>
    test(topic, async () => {
      const job = await writeJob(topic)
      await createTopic(servers, topic, 1)
      await sendItems(topic, 0, 10)
      const value = await bad()
      await sendBytes(servers, topic, [{ key: "bad-key", value, partition: 0 }])
      await sendItems(topic, 10, 20)
      const stopped = start(job)
      expect(await stopped.ended()).toBe(1)
      expect(stopped.log).toContain(`${topic}/0 at offset 10`)
      expect(stopped.log).toContain("DeadLetter.to(")
      expect(stopped.log).toMatch(says)
      await writeJob(topic, { source: `onDecodeError: DeadLetter.to("${topic}.dead")` })
      const goesOn = start(job)
      await expectCopied(job, goesOn, ids(0, 20))
      expect(await goesOn.stop()).toBe(0)
      const dead = await receiveBytes(kafka.bootstrap, `${topic}.dead`)
      expect(dead.map(({ key, headers }): Record<string, unknown> => ({ key, ...headers }))).toEqual([
        {
          key: "bad-key",
          "headrace.error": expect.any(String),
          "headrace.message": expect.stringMatching(says),
          "headrace.topic": topic,
          "headrace.partition": "0",
          "headrace.offset": "10"
        }
      ])
      expect(Buffer.from(dead[0]!.value).equals(Buffer.from(value))).toBe(true)
    })

  const good = (topic: string) => encoded(servers, topic, Item, { id: 77, name: "a name of some length" })
  stopsThenDiverts(
    "unknown-schema",
    async () => {
      const bytes = await good("unknown-schema")
      new DataView(bytes.buffer).setUint32(1, 987_654)
      return bytes
    },
    /987654/
  )
  stopsThenDiverts(
    "truncated-avro",
    async () => (await good("truncated-avro")).slice(0, 12),
    /the record ends in the middle of a value/
  )
})

test("a source topic that is missing is waited for", async () => {
  const job = await writeJob("missing-topic")
  const headrace = start(job)
  await headrace.says(/Topic missing-topic does not exist.*create it/)
  await createTopic(servers, "missing-topic", 1)
  await sendItems("missing-topic", 0, 50)
  await expectCopied(job, headrace, ids(0, 50))
  expect(await headrace.stop()).toBe(0)
})

test("a registry that is down at the start, and again when a new schema comes, is waited for", async () => {
  const [port] = await freePorts(1)
  const gate: Gate = await gateTo(registry.url, port!)
  const job = await writeJob("no-registry")
  await createTopic(servers, "no-registry", 1)
  const coloured = items(0, 20).map(each => ({ ...each, size: each.id, colour: "red" }))
  await send(servers, "no-registry", OlderItem, coloured)
  const headrace = start(job, { registry: gate.url })
  await headrace.says(/waiting for the schema registry at .*: connection refused/)
  await gate.open()
  await expectCopied(job, headrace, ids(0, 20))
  await gate.shut()
  const said = headrace.log.length
  await send(
    servers,
    "no-registry",
    OlderItem,
    items(20, 30).map(each => ({ ...each, size: 1, colour: "blue" }))
  )
  await send(
    servers,
    "no-registry",
    NewerItem,
    items(30, 40).map(each => ({ ...each, size: each.id }))
  )
  await poll(
    () => /registry/i.test(headrace.log.slice(said)),
    () => `a word on the registry in ${headrace.log}`
  )
  expect(headrace.running).toBe(true)
  await gate.open()
  await expectCopied(job, headrace, ids(0, 40))
  expect(await headrace.stop()).toBe(0)
  await gate.shut()
})

test("a ClickHouse that is down at the start, and killed in the middle, is waited for in bounded memory", async () => {
  const job = await writeJob("no-clickhouse", { table: true })
  await createTopic(servers, "no-clickhouse", 1)
  await sendFilled("no-clickhouse", 0, 4000, 16_384)
  await clickhouse.kill()
  const headrace = start(job, { clickhouse: clickhouse.url }, SMALL_QUEUES)
  await headrace.says(/waiting for ClickHouse at .*: connection refused/)
  await clickhouse.restart()
  await tableHolds(headrace, 4000)
  await clickhouse.kill()
  const peak = await peakMemory(headrace)
  await sendFilled("no-clickhouse", 4000, 24_000, 16_384)
  // Kafka's part goes on meanwhile, and the sink takes what it may hold.
  await headrace.reaches("headrace_records_in_total", 24_000)
  await poll(
    async () => (await headrace.metric("headrace_buffered_bytes", 'kind="clickhouse"')) >= 16 << 20,
    () => headrace.log
  )
  await headrace.repeats(/no_clickhouse: waiting and trying again/, 2)
  // 310 MB came. The queues hold 64 MB of it, the sink 20, the lane as much; measured with garbage: 80 to 200.
  expect(await peak()).toBeLessThan(300)
  await clickhouse.restart()
  await tableHolds(headrace, 24_000)
  expect(await headrace.stop()).toBe(0)
})

/** By default the clients may hold as much as comes here, when the broker is slow: 64 MB of what is read, 128 of what is sent. */
const SMALL_QUEUES = ["queued.max.messages.kbytes=16384", "queue.buffering.max.kbytes=32768"].flatMap(setting => [
  "--kafka-setting",
  setting
])

/** Sends records of about this many bytes. */
const sendFilled = async (topic: string, from: number, to: number, bytes: number): Promise<void> => {
  const name = "x".repeat(bytes)
  const atOnce = Math.ceil((64 << 20) / bytes)
  for (let at = from; at < to; at += atOnce)
    await send(
      servers,
      topic,
      Item,
      items(at, Math.min(to, at + atOnce)).map(each => ({ ...each, name }))
    )
}

const tableHolds = async (headrace: Headrace, count: number): Promise<void> => {
  const sql =
    "SELECT toUInt32(count()) AS rows, toUInt32(uniqExact(id)) AS ids, toUInt32(max(id)) AS last FROM no_clickhouse"
  const ask = () => rowsOf<{ rows: number; ids: number; last: number }>(clickhouse.url, sql).catch(() => [])
  await poll(
    async () => ((await ask())[0]?.rows ?? 0) >= count || !headrace.running,
    () => headrace.log
  )
  expect(await ask()).toEqual([{ rows: count, ids: count, last: count - 1 }])
}

test("a broker that is down at the start, and killed in the middle, is waited for in bounded memory", async () => {
  const job = await writeJob("no-broker", { filter: SLOW })
  await createTopic(servers, "no-broker", 1)
  await sendFilled("no-broker", 0, RECORDS, 2000)
  await kafka.kill()
  const headrace = start(job)
  await headrace.says(/waiting for Kafka at .*: connection refused/)
  await kafka.restart()
  await headrace.reaches("headrace_records_in_total", RECORDS / 3)
  await kafka.kill()
  const lane = (name: string) => headrace.metric(name, 'kind="lane"')
  const before = await lane("headrace_records_in_total")
  // All that can be done without a broker is done by then.
  await headrace.says(/Cannot .*no-broker\.\.test\.\.0/)
  expect(headrace.running ? "running" : headrace.log).toBe("running")
  // Not by the process's size: what two transactions may hold by design is as much as the topic has.
  expect((await lane("headrace_records_in_total")) - before).toBeLessThan(MOST_FETCHED)
  expect(await lane("headrace_buffered_bytes")).toBeLessThan(MOST_BUFFERED)
  await kafka.restart()
  await headrace.reaches("headrace_records_in_total", RECORDS)
  await expectCopied(job, headrace, ids(0, RECORDS))
  expect(await headrace.stop()).toBe(0)
})

/** Of 2 KB: 400 MB, so that more than the client may hold are left when the broker goes. */
const RECORDS = 200_000
/** Records that the client may have of those: its queue, one answer more, and two polls that the lane has. */
const MOST_FETCHED = ((64 + 1) << 20) / 2000 + 2 * 8192
/** Outputs that the lane keeps from producers that take no more: it stops polling at the first, a poll adds the second. */
const MOST_BUFFERED = (16 << 20) + 2 * 8192 * 2000
/** About 30 µs a record, so that the job is in the middle of them for a while. */
const SLOW = "[...Array(1000).keys()].reduce((sum, n) => sum + n, item.id) >= 0"

/** From now on: answers by how many MB the most memory that the process held was more than now. */
const peakMemory = async ({ pid }: Headrace): Promise<() => Promise<number>> => {
  const read = async () => Number(/VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
  // Sets the peak back to what is held now.
  await writeFile(`/proc/${pid}/clear_refs`, "5")
  const before = await read()
  return async () => (await read()) - before
}

test("a pipeline file that does not compile is named with the place in it", async () => {
  const file = join(directory, "broken.ts")
  await writeFile(file, `import { Pipeline } from "headrace"\n\nexport default Pipeline.make("broken"\n`)
  const headrace = start({ file, topic: "broken", out: "" })
  expect(await headrace.ended()).toBe(1)
  expect(headrace.log).toMatch(/broken\.ts:[34]:\d+/)
  expect(headrace.log).not.toMatch(/^\s+at /m)
})

test("a pipeline that fails at a record is named with the line in it, which types have not moved", async () => {
  const job = await writeJob("throws")
  const text = (await readFile(job.file, "utf8")).replace("item.id >= 0", '{ throw new Error("boom") }')
  await writeFile(job.file, `interface Unused {\n  a: number\n}\n${text}`)
  await createTopic(servers, "throws", 1)
  await sendItems("throws", 0, 1)
  const headrace = start(job)
  expect(await headrace.ended()).toBe(1)
  expect(headrace.log).toMatch(/boom\n\s+at .*throws\.ts:10:\d+/)
})

test("a port in use is named with what to do", async () => {
  const [port] = await freePorts(1)
  const other = createServer()
  await new Promise<void>(resolve => other.listen(port, "127.0.0.1", resolve))
  const headrace = start(await writeJob("port-in-use"), {}, ["--port", String(port)])
  expect(await headrace.ended()).toBe(1)
  expect(headrace.log).toContain(`port ${port} on 127.0.0.1 is in use; choose another by --port`)
  other.close()
})
