import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import {
  type ClickHouse,
  freePorts,
  type Kafka,
  type Registry,
  startClickHouse,
  startKafka,
  startRegistry
} from "@headrace/dev"
import { Admin } from "@headrace/kafka"
import { paymentsModule } from "@headrace/loadtest"
import { NEXMARK_TOPICS } from "@headrace/loadtest/nexmark"
import { scratch } from "./scratch.ts"

/** The binary alone in an empty directory, with nothing of the repository in sight. */
const home = scratch()
let kafka: Kafka
/** The same broker, for those who know the password. */
let guarded: string
let registry: Registry
let clickhouse: ClickHouse

const guardedKafka = async (): Promise<Kafka> => {
  const [port, secured, controller] = await freePorts(3)
  guarded = `127.0.0.1:${secured}`
  const open = `PLAINTEXT://127.0.0.1:${port},SASL_PLAINTEXT://${guarded}`
  const login = "org.apache.kafka.common.security.plain.PlainLoginModule"
  const settings = {
    listeners: `${open},CONTROLLER://127.0.0.1:${controller}`,
    "advertised.listeners": open,
    "controller.quorum.voters": `1@127.0.0.1:${controller}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "sasl.enabled.mechanisms": "PLAIN",
    "listener.name.sasl_plaintext.plain.sasl.jaas.config": `${login} required user_ada="pass=word";`
  }
  return startKafka({ port: port!, settings })
}

beforeAll(async () => {
  const cwd = fileURLToPath(new URL("../../..", import.meta.url))
  const command = ["npm", "run", "build", "--", home.file("headrace")]
  const built = Bun.spawn(command, { cwd, stdout: "ignore", stderr: "inherit" })
  const servers = Promise.all([guardedKafka(), startRegistry(), startClickHouse()])
  ;[kafka, registry, clickhouse] = await servers
  expect(await built.exited).toBe(0)
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop(), clickhouse?.stop()])
  home[Symbol.dispose]()
})

const start = (args: readonly string[]) =>
  Bun.spawn([home.file("headrace"), ...args], {
    cwd: home.directory,
    env: { HOME: home.directory, CLICKHOUSE_URL: clickhouse.url },
    stdout: "pipe",
    stderr: "pipe"
  })

/** Reads a log until a line matches, and goes on reading so that the pipe never fills. */
const until = async (stream: ReadableStream<Uint8Array>, pattern: RegExp) => {
  let log = ""
  const found = Promise.withResolvers<RegExpExecArray>()
  const read = async () => {
    const decoder = new TextDecoder()
    for await (const chunk of stream) {
      log += decoder.decode(chunk, { stream: true })
      const match = pattern.exec(log)
      if (match) found.resolve(match)
    }
    found.reject(new Error(`it ended without ${pattern}:\n${log}`))
  }
  void read()
  return { match: await found.promise, log: () => log }
}

/** The summary has the fields that are promised, no others, and a number in each. */
const expectReport = (file: string, sent: number, tables: boolean): void => {
  const { details, exactly_once, ...figures } = JSON.parse(readFileSync(home.file(file), "utf8"))
  expect(exactly_once).toBe(true)
  expect(details.problems).toEqual([])
  // In JSON a number is finite: anything else became null.
  const number = expect.any(Number)
  expect(figures).toEqual({
    sent,
    processed: sent,
    lost: 0,
    duplicated: 0,
    throughput_eps: number,
    latency_ms: { p50: number, p90: number, p99: number, p999: number, max: number },
    commit_ms: { p50: number, p99: number },
    rss_mb: number,
    startup_ms: number,
    lanes: 2,
    ...(tables ? { clickhouse: { rows: sent, lost: 0, duplicated: 0 } } : {}),
    patterns: { found: number, missed: 0, false: 0 }
  })
  const { rss_mb, startup_ms, commit_ms, latency_ms } = figures
  for (const figure of [rss_mb, startup_ms, commit_ms.p50, latency_ms.p50]) expect(figure).toBeGreaterThan(0)
}

/** The user's files: the payments pipeline with its relative imports, and a configuration beside it. */
const writeJob = () => {
  const from = dirname(paymentsModule)
  mkdirSync(home.file("job"))
  for (const name of readdirSync(from)) cpSync(join(from, name), join(home.file("job"), name))
  writeFileSync(
    home.file("job/config.yaml"),
    `
pipeline: ./pipeline.ts
lanes: 2
clusters:
  kafka: { bootstrap: "${kafka.bootstrap}" }
  registry: { url: "${registry.url}" }
  clickhouse: { url: "\${CLICKHOUSE_URL}" }
checkpoint: { store: "${home.file("checkpoints")}", interval: 2 seconds, retained: 100 }
http: { port: 0 }
`
  )
}

const clusters = () => ["--kafka", kafka.bootstrap, "--registry", registry.url]
const tables = () => ["--clickhouse", clickhouse.url]

/** Runs it to its end, which must be a good one. */
const succeed = async (args: readonly string[]) => {
  const child = start(args)
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  expect(code === 0 ? "" : `${out}${err}`).toBe("")
  return `${out}${err}`
}

test("runs a configuration, waits for its topic, survives a load and stops cleanly", async () => {
  writeJob()
  const pipeline = start(["run", "job/config.yaml"])
  const { match, log } = await until(pipeline.stderr, /metrics at (\S+),/)
  // It began once more, in its own place (tiers.ts).
  expect(readFileSync(`/proc/${pipeline.pid}/environ`, "utf8")).toContain(
    "BUN_JSC_thresholdForOptimizeAfterWarmUp=8000"
  )
  const load = ["--pipeline", match[1]!, "--rate", "2000", "--for", "5s", "--report", "report.json"]
  expect(await succeed(["loadtest", ...clusters(), ...tables(), ...load])).toContain("exactly once")
  expectReport("report.json", 10_000, true)
  pipeline.kill("SIGTERM")
  expect(await pipeline.exited).toBe(0)
  expect(log()).not.toMatch(/WARN .*(failed|by force)/)
})

test("a load test brings the pipeline along, and leaves nothing but its report", async () => {
  const before = readdirSync(home.directory)
  const load = ["--lanes", "2", "--rate", "1000", "--for", "6s", "--threads", "2", "--burst", "3x/1s/3s"]
  const output = await succeed(["loadtest", ...clusters(), ...tables(), ...load, "--report", "own.json"])
  expect(output).not.toContain("\x1b")
  expectReport("own.json", 6000, true)
  expect(readdirSync(home.directory).filter(name => !before.includes(name) && name !== ".local")).toEqual(["own.json"])
})

test("a load test needs no ClickHouse, and takes what a guarded broker wants", async () => {
  const config = "security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\nsasl.password=pass=word\n"
  writeFileSync(home.file("client.properties"), config)
  const access = ["--kafka-config", home.file("client.properties"), "--kafka-setting", "sasl.username=ada"]
  const load = ["--lanes", "2", "--rate", "1000", "--for", "2s", "--warm-up", "0s", "--report", "kafka.json"]
  await succeed(["loadtest", "--kafka", guarded, "--registry", registry.url, ...access, ...load])
  expectReport("kafka.json", 2000, false)
})

test("runs Nexmark's queries on a cluster, prints their rates, and leaves no topics behind", async () => {
  const run = ["--queries", "q0,q5", "--events", "300000", "--lanes", "1", "--partitions", "2"]
  const output = await succeed(["loadtest", "nexmark", ...clusters(), ...run])
  expect(output).toMatch(/q0: [\d,]+ events\/s/)
  expect(output).toMatch(/q5: [\d,]+ events\/s/)
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  const left = async () => {
    const { topics } = await admin.metadata([...NEXMARK_TOPICS, "nexmark-q5-0-changelog-nexmark.bids"])
    return topics.some(({ partitions }) => partitions.length > 0)
  }
  // The broker may tell of them for a moment; the test's own time limit is the deadline.
  while (await left()) await Bun.sleep(20)
  await admin.close()
})

test("runs Nexmark's queries without any server", async () => {
  const output = await succeed(["loadtest", "nexmark", "--memory", "--queries", "q0,q5", "--events", "60000"])
  expect(output).toMatch(/q0: [\d,]+ events\/s/)
  expect(output).toMatch(/q5: [\d,]+ events\/s/)
})

test("says which of Nexmark's queries there are", async () => {
  const child = start(["loadtest", "nexmark", ...clusters(), "--queries", "q10"])
  expect(`${await child.stdout.text()}${await child.stderr.text()}`).toContain("expected some of q0,q1,q2")
  expect(await child.exited).not.toBe(0)
})

const COPY = `import { Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"

interface Named {
  readonly account: string
}
const Event = Schema.Struct({ account: Schema.String }).annotate({ identifier: "AccountEvent" })
const keep = (event: Named): boolean => {
  return event.account !== ""
}
export default Pipeline.make("copy").from(Source.kafka("payments", Event)).filter(keep).to(Sink.kafka("copies", Event))
`

test("runs a pipeline file until it is stopped", async () => {
  writeFileSync(home.file("copy.ts"), COPY)
  const pipeline = start(["run", "copy.ts", ...clusters(), "--lanes", "1", "--port", "0"])
  await until(pipeline.stderr, /running, \d+ ms after the start/)
  pipeline.kill("SIGTERM")
  expect(await pipeline.exited).toBe(0)
})

describe("says in which line a pipeline file", () => {
  const cases: [name: string, text: string, place: RegExp][] = [
    ["is wrong", COPY.replace("boolean => {", "boolean => {{"), /wrong\.ts:11:\d+: /],
    ["throws", COPY.replace("const keep", 'throw new Error("boom")\nconst keep'), /wrong\.ts:8:\d+: boom/],
    [
      "throws at a record",
      COPY.replace(/return.*/, 'throw new Error("boom")'),
      /boom\n\s+at keep \(\S+wrong\.ts:9:\d+\)/
    ]
  ]
  test.each(cases)("%s", async (_, text, place) => {
    writeFileSync(home.file("wrong.ts"), text)
    const child = start(["run", "wrong.ts", ...clusters(), "--lanes", "1", "--port", "0", "--app", crypto.randomUUID()])
    expect(await child.stderr.text()).toMatch(place)
    expect(await child.exited).toBe(1)
  })
})

test("explains a pipeline that imports headrace, effect and its own files", async () => {
  const child = start(["explain", "job/pipeline.ts"])
  expect(await child.stdout.text()).toContain("to table scored, from topic payments.scored")
  expect(await child.exited).toBe(0)
})

test("has no embedded ClickHouse, and says what to do", async () => {
  const clusters = ["--kafka", kafka.bootstrap, "--registry", registry.url]
  const child = start(["run", "job/pipeline.ts", ...clusters, "--clickhouse", `chdb:${home.file("tables")}`])
  expect(await child.stderr.text()).toContain("this binary has none: give a server, --clickhouse http://host:8123")
  expect(await child.exited).toBe(1)
})

test("has no demo, and says where there is one", async () => {
  const child = start(["demo"])
  expect(await child.stderr.text()).toContain("npm run demo")
  expect(await child.exited).toBe(1)
})
