import { afterAll, beforeAll, expect, test } from "bun:test"
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { type ClickHouse, type Kafka, type Registry, startClickHouse, startKafka, startRegistry } from "@headrace/dev"
import { paymentsModule } from "@headrace/loadtest"
import { scratch } from "./scratch.ts"

/** The binary alone in an empty directory, with nothing of the repository in sight. */
const home = scratch()
let kafka: Kafka
let registry: Registry
let clickhouse: ClickHouse

beforeAll(async () => {
  const build = fileURLToPath(new URL("../build.ts", import.meta.url))
  const built = Bun.spawn([process.execPath, build, home.file("headrace")], { stdout: "ignore", stderr: "inherit" })
  const servers = Promise.all([startKafka(), startRegistry(), startClickHouse()])
  ;[kafka, registry, clickhouse] = await servers
  expect(await built.exited).toBe(0)
}, 180_000)

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop(), clickhouse?.stop()])
  home[Symbol.dispose]()
}, 60_000)

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
checkpoint: { directory: "${home.file("checkpoints")}", interval: 2 seconds }
http: { port: 0 }
`
  )
}

test("runs a configuration, waits for its topic, survives a load and stops cleanly", async () => {
  writeJob()
  const pipeline = start(["run", "job/config.yaml"])
  const running = until(pipeline.stderr, /running, \d+ ms after the start/)
  const clusters = ["--kafka", kafka.bootstrap, "--registry", registry.url, "--clickhouse", clickhouse.url]
  const load = start(["loadtest", ...clusters, "--rate", "2000", "--for", "5s", "--report", "report.json"])
  const [output, errors, code] = await Promise.all([load.stdout.text(), load.stderr.text(), load.exited])
  const { log } = await running
  expect(`${output}${errors}`).toContain("exactly once")
  expect(code).toBe(0)
  expect(JSON.parse(readFileSync(home.file("report.json"), "utf8"))).toMatchObject({
    sent: 10_000,
    processed: 10_000,
    lost: 0,
    duplicated: 0,
    exactly_once: true,
    clickhouse: { rows: expect.any(Number), lost: 0, duplicated: 0 }
  })
  pipeline.kill("SIGTERM")
  expect(await pipeline.exited).toBe(0)
  expect(log()).not.toMatch(/WARN .*(failed|by force)/)
}, 180_000)

test("explains a pipeline that imports headrace, effect and its own files", async () => {
  const child = start(["explain", "job/pipeline.ts"])
  expect(await child.stdout.text()).toContain("to table scored, from topic payments.scored")
  expect(await child.exited).toBe(0)
})

test("has no demo, and says where there is one", async () => {
  const child = start(["demo"])
  expect(await child.stderr.text()).toContain("npm run demo")
  expect(await child.exited).toBe(1)
})
