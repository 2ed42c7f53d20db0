import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePorts, type Kafka, startKafka } from "@headrace/dev"
import { Headrace } from "../support/headrace.ts"

setDefaultTimeout(60_000)

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
}, 120_000)

afterAll(async () => {
  await registry.stop(true)
  await kafka?.stop()
  await rm(directory, { recursive: true, force: true })
}, 60_000)

const pipeline = `import { Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"

const Item = Schema.Struct({ id: Schema.Int }).annotate({ identifier: "Item" })
export default Pipeline.make("refused").from(Source.kafka("items", Item)).to(Sink.kafka("items.out", Item))
`

/** A job with these settings of the cluster ends by itself: with this code and this log. */
const outcome = async (name: string, settings: Readonly<Record<string, string>>) => {
  await writeFile(join(directory, "pipeline.ts"), pipeline)
  const file = join(directory, `${name}.yaml`)
  await writeFile(file, JSON.stringify({ app: name, pipeline: "pipeline.ts", clusters: { kafka: { settings } } }))
  const clusters = { kafka: sasl, registry: registry.url.href.replace(/\/$/, "") }
  const headrace = new Headrace(file, { clusters, checkpoints: join(directory, name), flags: ["--lanes", "1"] })
  return { code: await headrace.ended(), log: headrace.log }
}

const signIn = (password: string) => ({
  "security.protocol": "sasl_plaintext",
  "sasl.mechanism": "PLAIN",
  "sasl.username": "guest",
  "sasl.password": password
})

test("a wrong password ends a job, naming the settings to look at", async () => {
  const { code, log } = await outcome("password", signIn("wrong"))
  expect(log).toContain("Invalid username or password")
  expect(log).toContain("sasl.password")
  expect(code).toBe(1)
})

test("a topic that the user may not see ends a job, naming the right that is missing", async () => {
  const { code, log } = await outcome("rights", signIn("pw"))
  expect(log).toMatch(/items.*Topic authorization failed.*Permit its user to read/s)
  expect(code).toBe(1)
})
