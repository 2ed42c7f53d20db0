import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { fileURLToPath } from "node:url"
import { scratch } from "./scratch.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

const PIPELINE = `
import { Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"
import { Payment } from "./schemas.ts"

export default Pipeline.make("copy").from(Source.kafka("payments", Payment)).to(Sink.kafka("copies", Payment))
`
const files = scratch({
  "schemas.ts": `import * as Schema from "effect/Schema"\nexport const Payment = Schema.Struct({ account: Schema.String })\n`,
  "copy.ts": PIPELINE,
  "table.ts": PIPELINE.replace(
    'Sink.kafka("copies", Payment)',
    'Sink.kafka("copies", Payment), Sink.clickhouse("copies")'
  ),
  "syntax.ts": "export const a = 1\nexport default { b: 1,, }\n",
  "throws.ts": 'interface A {\n  a: number\n}\n\nthrow new Error("boom")\n',
  "deep.ts": 'interface A {\n  a: number\n}\nimport { fail } from "./fails.ts"\nexport default fail(1)\n',
  "fails.ts": 'type A = {\n  a: number\n}\n\nexport const fail = (a: number): A => {\n  throw new Error("deep")\n}\n',
  "nothing.ts": "export const a = 1\n",
  "defect.ts": `${PIPELINE}\nconsole.log = () => {\n  throw new Error("nobody reckons with it")\n}\n`,
  "number.ts": "export default 5\n",
  "import.ts": 'import { a } from "./none.ts"\nexport default a\n',
  "stream.ts": PIPELINE.replace(/\.to\(.*/, ""),
  "twice.ts": PIPELINE.replace(/\.to\(.*/, '.to(Sink.kafka("copies", Payment), Sink.kafka("copies", Payment))')
})
const clusters = ["--kafka", "localhost:1", "--registry", "http://localhost:1"]

/** Whoever else runs these tests on this machine has another instance of the same job on the same brokers. */
const env = { PATH: process.env.PATH ?? "", HOME: files.directory, HEADRACE_INSTANCE: `cli-${process.pid}` }

const headrace = async (...args: string[]) => {
  const child = Bun.spawn([process.execPath, main, ...args], {
    cwd: files.directory,
    env,
    stdout: "pipe",
    stderr: "pipe"
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err: err.replaceAll(`${files.directory}/`, "") }
}

let blocker: ReturnType<typeof Bun.serve>
beforeAll(() => {
  blocker = Bun.serve({ port: 0, hostname: "127.0.0.1", fetch: () => new Response("") })
})
afterAll(() => {
  blocker.stop(true)
  files[Symbol.dispose]()
})

test("what nobody has reckoned with is not silent, and says where it comes from", async () => {
  const { code, err } = await headrace("explain", "defect.ts")
  expect(code).toBe(1)
  expect(err).toMatch(/ERROR .*nobody reckons with it\n +at .*defect\.ts/)
})

describe("wrong input ends with exit code 1 and says what to do", () => {
  const cases: [name: string, args: () => string[], expected: RegExp | string][] = [
    ["no file", () => ["run"], "Missing required argument: file"],
    ["an unknown command", () => ["rum"], 'Unknown subcommand "rum"'],
    ["an unknown flag", () => ["run", "copy.ts", "--lane", "2"], "--lanes"],
    ["no clusters", () => ["run", "copy.ts"], "clusters.kafka: is missing; give it by --kafka, HEADRACE_KAFKA"],
    [
      "a wrong value",
      () => ["run", "copy.ts", ...clusters, "--lanes", "x"],
      "--lanes: Expected a whole number from 0 to 256"
    ],
    ["no such pipeline", () => ["run", "none.ts", ...clusters], "none.ts: there is no such file"],
    ["no such configuration", () => ["run", "none.yaml"], "none.yaml cannot be read"],
    ["a pipeline that does not parse", () => ["run", "syntax.ts", ...clusters], /syntax\.ts:2:23: /],
    ["a pipeline that throws", () => ["explain", "throws.ts"], /throws\.ts:5:\d+: boom/],
    ["a pipeline whose import throws", () => ["explain", "deep.ts"], /fails\.ts:6:\d+: deep/],
    ["an import that is not there", () => ["explain", "import.ts"], "Cannot find module './none.ts'"],
    ["no default export", () => ["explain", "nothing.ts"], "nothing.ts: has no default export"],
    [
      "another default export",
      () => ["explain", "number.ts"],
      "number.ts: the default export is not a finished pipeline"
    ],
    [
      "an unfinished pipeline",
      () => ["explain", "stream.ts"],
      "stream.ts: the default export is not a finished pipeline"
    ],
    ["a pipeline that collides", () => ["explain", "twice.ts"], /twice\.ts: .*copies/],
    ["a table without ClickHouse", () => ["run", "table.ts", ...clusters, "--port", "0"], "give --clickhouse"],
    [
      "an unknown table",
      () => ["run", "copy.ts", ...clusters, "--sinks", "spend", "--port", "0"],
      "the pipeline has no table spend"
    ],
    [
      "a savepoint of nothing",
      () => ["savepoint", "create"],
      "give the pipeline's file, or the --url of a running job"
    ],
    [
      "a stop of no running job",
      () => ["savepoint", "create", "copy.ts", ...clusters, "--stop"],
      "--stop and --drain are for a running job: give its --url"
    ],
    [
      "a job that nobody answers for",
      () => ["savepoint", "create", "--url", "http://127.0.0.1:1"],
      "No job answers at http://127.0.0.1:1"
    ],
    [
      "something else that answers there",
      () => ["savepoint", "create", "--url", `http://127.0.0.1:${blocker.port}`, "--stop"],
      "it answers 200: is it a job of Headrace?"
    ],
    [
      "an id that is no name",
      () => ["savepoint", "create", "copy.ts", ...clusters, "--id", "../a"],
      '"../a" cannot be a savepoint\'s id'
    ],
    ["no such savepoint", () => ["savepoint", "inspect", "none"], "There is no savepoint none: the store has none"],
    [
      "nothing to delete",
      () => ["savepoint", "delete", "none", "--savepoints", "empty"],
      "There is no savepoint none: the store has none"
    ],
    [
      "a drain that ends nothing",
      () => ["run", "copy.ts", ...clusters, "--drain"],
      "--drain and --id belong to --stop-with-savepoint"
    ],
    [
      "source offsets that are neither",
      () => ["savepoint", "restore", "a", "copy.ts", ...clusters, "--source-offsets", "latest"],
      "earliest"
    ],
    ["nothing to run", () => ["run", "copy.ts", ...clusters, "--lanes", "0"], "nothing to run"],
    [
      "a port in use",
      () => ["run", "copy.ts", ...clusters, "--port", String(blocker.port)],
      /port \d+ on 127\.0\.0\.1 is in use; choose another by --port/
    ],
    ["a load test without clusters", () => ["loadtest"], "clusters.kafka: is missing; give it by --kafka"],
    [
      "a load test of an embedded ClickHouse",
      () => ["loadtest", ...clusters, "--clickhouse", "chdb:/tables"],
      "an embedded ClickHouse belongs to one process: give a server"
    ],
    ["a load test with an unclear burst", () => ["loadtest", ...clusters, "--burst", "3"], "like 3x/2s/10s"],
    [
      "no file of settings",
      () => ["run", "copy.ts", ...clusters, "--kafka-config", "none.properties"],
      "none.properties (--kafka-config) cannot be used: ENOENT"
    ],
    [
      "a file of settings that are none",
      () => ["loadtest", ...clusters, "--kafka-config", "schemas.ts"],
      "schemas.ts (--kafka-config) cannot be used: line 1"
    ],
    [
      "a load test for an unclear time",
      () => ["loadtest", ...clusters, "--for", "60"],
      'expected a duration with its unit, like 60s or "2 minutes", got "60"'
    ]
  ]
  for (const [name, args, expected] of cases) {
    test(name, async () => {
      const { code, err } = await headrace(...args())
      expect(err).toMatch(expected)
      expect(err).not.toContain("node_modules")
      expect(code).toBe(1)
    })
  }
})

test("explain prints the plan", async () => {
  const { code, out } = await headrace("explain", "copy.ts")
  expect(out).toContain("kafka:copies  to topic copies")
  expect(code).toBe(0)
})

test("version prints the version", async () => {
  expect((await headrace("version")).out).toMatch(/^\d+\.\d+\.\d+\n$/)
})

test("help has examples", async () => {
  const { code, out } = await headrace("run", "--help")
  expect(out).toContain("headrace run config.yaml")
  expect(code).toBe(0)
})

test("servers that are down are waited for, said once and not at every try; SIGTERM ends it cleanly", async () => {
  const args = ["run", "copy.ts", ...clusters, "--port", "0"]
  const child = Bun.spawn([process.execPath, main, ...args], {
    cwd: files.directory,
    env,
    stdout: "ignore",
    stderr: "pipe"
  })
  let log = ""
  for await (const chunk of child.stderr.pipeThrough(new TextDecoderStream())) {
    log += chunk
    if (log.includes("waiting for Kafka") && log.includes("waiting for the schema registry")) break
  }
  const port = /http:\/\/127\.0\.0\.1:(\d+)/.exec(log)?.[1]
  const health = await fetch(`http://127.0.0.1:${port}/health`)
  expect(health.status).toBe(503)
  expect(await health.json()).toMatchObject({
    app: "copy",
    live: true,
    ready: false,
    reasons: expect.arrayContaining([
      "Kafka at localhost:1: connection refused",
      "the schema registry at http://localhost:1: connection refused"
    ])
  })
  expect((await fetch(`http://127.0.0.1:${port}/health/live`)).status).toBe(200)
  expect(log.match(/waiting for Kafka/g)).toHaveLength(1)
  expect(log).toContain("checkpoints in a directory are for one machine")
  const second = await headrace(...args)
  expect(second).toMatchObject({
    code: 1,
    err: expect.stringMatching(/runs on this machine already as instance .*--instance/)
  })
  child.kill("SIGTERM")
  expect(await child.exited).toBe(0)
})
