/** More lanes, and more processes, than there are partitions: those that are given nothing are ready all the same. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type ClickHouse, type Kafka, type Registry, startClickHouse, startKafka, startRegistry } from "@headrace/dev"
import { Schema } from "effect"
import { Headrace, headrace, poll } from "../support/headrace.ts"
import { createTopic, receive, type Servers, send } from "../support/records.ts"

let kafka: Kafka
let registry: Registry
let clickhouse: ClickHouse
let servers: Servers
let directory: string
const started: Headrace[] = []

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-spare-"))
  ;[kafka, registry, clickhouse] = await Promise.all([startKafka(), startRegistry(), startClickHouse()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
})

afterAll(async () => {
  await Promise.all(started.map(one => one.kill()))
  await Promise.all([kafka?.stop(), registry?.stop(), clickhouse?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const Item = Schema.Struct({ id: Schema.Int }).annotate({ identifier: "Item" })

const pipeline = (topic: string) => `import { Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"

const Item = Schema.Struct({ id: Schema.Int }).annotate({ identifier: "Item" })
export default Pipeline.make("${topic}")
  .from(Source.kafka("${topic}", Item))
  .to(Sink.kafka("${topic}_out", Item), Sink.clickhouse("${topic}_out"))
`

const start = (topic: string, protocol: string, instance: string, lanes: number): Headrace => {
  const one = new Headrace(join(directory, `${topic}.ts`), {
    clusters: { kafka: kafka.bootstrap, registry: registry.url, clickhouse: clickhouse.url },
    checkpoints: join(directory, "checkpoints"),
    instance,
    flags: [
      ...["--app", topic, "--lanes", String(lanes), "--savepoints", join(directory, "savepoints")],
      ...["--kafka-setting", `group.protocol=${protocol}`]
    ]
  })
  started.push(one)
  return one
}

const phases = async ({ url }: Headrace): Promise<Record<string, string>> => {
  const { units } = (await (await fetch(`${url}/status`)).json()) as { units: { name: string; phase: string }[] }
  return Object.fromEntries(units.map(({ name, phase }) => [name, phase]))
}

const ready = async (one: Headrace): Promise<void> => {
  await one.says(/running, \d+ ms after the start/)
  // Partitions may still move between them.
  await poll(
    async () => (await fetch(`${one.url}/health/ready`)).status === 200 && (await one.metric("headrace_ready")) === 1,
    () => one.log
  )
}

/** A coordinator may give a member nothing at first, and its partition with the next word. */
const comesTo = (one: Headrace, expected: readonly string[]): Promise<unknown> =>
  poll(
    async () =>
      Object.values(await phases(one))
        .toSorted()
        .join() === expected.join(),
    () => `${expected}; log:\n${one.log}`
  )

test.each(["classic", "consumer"])(
  "a lane and a table without a partition are ready, and the job ends with a savepoint (%s protocol)",
  async protocol => {
    const topic = `spare_${protocol}`
    await writeFile(join(directory, `${topic}.ts`), pipeline(topic))
    await createTopic(servers, topic, 1)
    await createTopic(servers, `${topic}_out`, 1)
    const first = start(topic, protocol, "first", 2)
    await ready(first)
    await comesTo(first, ["running", "running", "spare"])

    const second = start(topic, protocol, "second", 1)
    await ready(second)
    await comesTo(second, ["spare", "spare"])
    const refused = await headrace("savepoint", "create", "--url", second.url!, "--stop")
    expect(refused.code).toBe(1)
    expect(refused.err).toContain(`this process does not have ${topic}/0, other instances of ${topic} do`)
    expect(await second.stop()).toBe(0)

    await send(servers, topic, Item, [{ key: "one", partition: 0, id: 7 }])
    await poll(
      async () => (await receive(servers, `${topic}_out`, Item)).length === 1,
      () => first.log
    )
    await ready(first)
    const saved = await headrace("savepoint", "create", "--url", first.url!, "--stop")
    expect(saved.err).toBe("")
    expect(saved.code).toBe(0)
    expect(await first.ended()).toBe(0)
  }
)

test("a bounded run with more lanes than partitions comes to its end", async () => {
  const topic = "bounded"
  await writeFile(join(directory, `${topic}.ts`), pipeline(topic))
  await createTopic(servers, topic, 1)
  await send(servers, topic, Item, [{ key: "one", partition: 0, id: 7 }])
  const run = new Headrace(join(directory, `${topic}.ts`), {
    clusters: { kafka: kafka.bootstrap, registry: registry.url, clickhouse: clickhouse.url },
    checkpoints: join(directory, "checkpoints"),
    flags: ["--lanes", "3", "--savepoints", join(directory, "savepoints"), "--stop-with-savepoint"]
  })
  started.push(run)
  expect(await run.ended()).toBe(0)
  expect((await receive(servers, `${topic}_out`, Item)).map(({ value }) => value.id)).toEqual([7])
})
