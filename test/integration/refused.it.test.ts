import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePorts, type Kafka, startKafka } from "@headrace/dev"
import { Admin } from "@headrace/kafka"
import { Headrace } from "../support/headrace.ts"

let kafka: Kafka
let sasl: string
let directory: string
/** What a job waits for before it asks Kafka anything: here it needs no more of a registry. */
const registry = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("[]") })

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-refused-"))
  const [plain, secured, controller] = await freePorts(3)
  const open = `PLAINTEXT://127.0.0.1:${plain},SASL_PLAINTEXT://127.0.0.1:${secured}`
  const login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
  kafka = await startKafka({
    port: plain!,
    settings: {
      listeners: `${open},CONTROLLER://127.0.0.1:${controller}`,
      "advertised.listeners": open,
      "controller.quorum.voters": `1@127.0.0.1:${controller}`,
      "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
      "inter.broker.listener.name": "PLAINTEXT",
      "sasl.enabled.mechanisms": "PLAIN",
      "listener.name.sasl_plaintext.plain.sasl.jaas.config": `${login} user_guest="pw";`,
      "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
      "super.users": "User:ANONYMOUS"
    }
  })
  sasl = `127.0.0.1:${secured}`
})

afterAll(async () => {
  await registry.stop(true)
  await kafka?.stop()
  await rm(directory, { recursive: true, force: true })
})

const pipeline = `import { Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"

const Item = Schema.Struct({ id: Schema.Int }).annotate({ identifier: "Item" })
export default Pipeline.make("refused").from(Source.kafka("items", Item)).to(Sink.kafka("items.out", Item), Sink.clickhouse("items"))
`

const url = registry.url.href.replace(/\/$/, "")

interface Where {
  readonly bootstrap?: string
  readonly settings?: Readonly<Record<string, string>>
  /** The table is filled as well; what is refused is refused before ClickHouse is asked more than whether it is there. */
  readonly tables?: boolean
}

const start = async (name: string, { bootstrap = kafka.bootstrap, settings = {}, tables = false }: Where) => {
  await writeFile(join(directory, "pipeline.ts"), pipeline)
  const file = join(directory, `${name}.yaml`)
  await writeFile(file, JSON.stringify({ app: name, pipeline: "pipeline.ts", clusters: { kafka: { settings } } }))
  const clusters = { kafka: bootstrap, registry: url, ...(tables && { clickhouse: url }) }
  const flags = ["--lanes", "1", ...(tables ? [] : ["--sinks", "none"])]
  return new Headrace(file, { clusters, checkpoints: join(directory, name), flags })
}

/** A job ends by itself: with this code and this log. */
const outcome = async (name: string, where: Where) => {
  const headrace = await start(name, where)
  return { code: await headrace.ended(), log: headrace.log }
}

const createTopic = async (topic: string, config: Readonly<Record<string, string>>) => {
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  await admin.createTopics([{ topic, partitions: 1, config }])
  await admin.close()
}

const signIn = (password: string) => ({
  "security.protocol": "sasl_plaintext",
  "sasl.mechanism": "PLAIN",
  "sasl.username": "guest",
  "sasl.password": password
})

test("a wrong password ends a job, naming the settings to look at", async () => {
  const { code, log } = await outcome("password", { bootstrap: sasl, settings: signIn("wrong") })
  expect(log).toContain("Invalid username or password")
  expect(log).toContain("sasl.password")
  expect(code).toBe(1)
})

test("a topic that the user may not see ends a job, naming the right that is missing", async () => {
  const { code, log } = await outcome("rights", { bootstrap: sasl, settings: signIn("pw") })
  expect(log).toMatch(/items.*Topic authorization failed.*Permit its user to read/s)
  expect(code).toBe(1)
})

describe("topics that were there before", () => {
  beforeAll(async () => {
    for (const topic of ["items", "items.out"]) await createTopic(topic, { "cleanup.policy": "compact" })
  })

  test.each([
    [
      "compacted",
      { "cleanup.policy": "compact,delete", "retention.ms": "-1" },
      /cleanup.policy=compact,delete: it would/
    ],
    [
      "expiring",
      { "retention.ms": "604800000" },
      /retention.ms=604800000: it would lose .* --add-config retention.ms=-1\)/
    ]
  ] as const)("a changelog that is %s ends a job, and is told how to change", async (name, config, says) => {
    await createTopic(`${name}-changelog-items`, config)
    const { code, log } = await outcome(name, {})
    expect(log).toMatch(says)
    expect(code).toBe(1)
  })

  test("a compacted source is said at the start", async () => {
    const headrace = await start("source", {})
    await headrace.says(/WARN .*items is compacted: of a key's records/)
    await headrace.kill()
  })

  test("a compacted topic is refused before a table is filled from it", async () => {
    const { code, log } = await outcome("table", { tables: true })
    expect(log).toMatch(/items.out, from which the table items is filled, is compacted .*--sinks/)
    expect(code).toBe(1)
  })
})
