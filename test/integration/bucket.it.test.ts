import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { freePorts, type Kafka, type Registry, type S3, startKafka, startRegistry, startS3 } from "@headrace/dev"
import { Consumer } from "@headrace/kafka"
import { defaults, ensureTopics, paymentsModule, runLoad } from "@headrace/loadtest"
import { Effect, Schedule } from "effect"
import { gateTo } from "../support/gate.ts"
import { Headrace, poll } from "../support/headrace.ts"
import { auditTopic, auditWindows, ensureIndependentClient } from "../support/independent.ts"

const PARTITIONS = 4
const KILLS = 2

let kafka: Kafka
let registry: Registry
let s3: S3
let directory: string
let config: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-bucket-"))
  ;[kafka, registry, s3] = await Promise.all([startKafka(), startRegistry(), startS3(), ensureIndependentClient()])
  process.env.AWS_ACCESS_KEY_ID = s3.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = s3.secretAccessKey
  process.env.AWS_REGION = s3.region
  config = await configure("config", s3.endpoint)
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop(), s3?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const configure = async (name: string, endpoint: string): Promise<string> => {
  const file = join(directory, `${name}.yaml`)
  const checkpoint = { interval: "1 second", retained: 2, s3: { endpoint } }
  await writeFile(file, JSON.stringify({ pipeline: paymentsModule, sinks: "none", checkpoint }))
  return file
}

const start = (place = `s3://${s3.bucket}/checkpoints`, file = config) =>
  new Headrace(file, {
    clusters: { kafka: kafka.bootstrap, registry: registry.url },
    checkpoints: place,
    flags: ["--lanes", "2"]
  })

/** The first offset that is left of each changelog partition. A broker is asked again that does not know yet who leads one. */
const trimmedTo = async (): Promise<readonly number[]> => {
  const consumer = Consumer.open({ "bootstrap.servers": kafka.bootstrap, "group.id": "test" })
  const lowOf = (partition: number) =>
    Effect.tryPromise(() => consumer.watermarkOffsets("payments-changelog-payments", partition, 10_000)).pipe(
      Effect.retry({ times: 100, schedule: Schedule.spaced("100 millis") }),
      Effect.map(({ low }) => low)
    )
  const lows = await Effect.runPromise(Effect.forEach(Array.from({ length: PARTITIONS }).keys(), lowOf))
  await consumer.close()
  return lows
}

test("a job whose checkpoints are in a bucket is restored from there after kill -9, exactly once", async () => {
  const enough = new AbortController()
  const options = {
    ...defaults,
    kafka: { bootstrap: kafka.bootstrap, settings: {} },
    registry: { url: registry.url },
    rate: 2_000,
    forMs: 600_000,
    accounts: 1_000,
    partitions: PARTITIONS,
    stop: enough.signal
  }
  await Effect.runPromise(ensureTopics(options))
  let pipeline = start()
  await pipeline.says(/running, \d+ ms after the start/)
  const load = Effect.runPromise(runLoad(options))
  let before = Array.from({ length: PARTITIONS }, () => 0)
  for (let kill = 0; kill < KILLS; kill++) {
    // What is trimmed is in the bucket only.
    const further = async () => !pipeline.running || (await trimmedTo()).every((low, i) => low > before[i]!)
    await poll(further, () => pipeline.log)
    before = [...(await trimmedTo())]
    expect(pipeline.running ? "running" : pipeline.log).toBe("running")
    await pipeline.kill()
    pipeline = start()
    await pipeline.reaches("headrace_commits_total", 1)
  }
  enough.abort()
  const report = await load
  expect(await pipeline.stop()).toBe(0)
  expect(report.problems).toEqual([])
  const where = { bootstrap: kafka.bootstrap, registry: registry.url }
  const scored = await auditTopic({ ...where, topic: "payments.scored", sent: String(report.sent) })
  expect(scored).toMatchObject({ distinct: report.sent, duplicated: 0, disordered: 0, missing: 0, unreadable: 0 })
  const windows = await auditWindows(where)
  expect(windows.wrong).toEqual([])
  expect(windows.windows).toBeGreaterThan(0)
})

test("a bucket that is not there stops the job, and says what to do", async () => {
  const headrace = start("s3://nobodys/checkpoints")
  expect(await headrace.ended()).toBe(1)
  expect(headrace.log).toMatch(/s3:\/\/nobodys\/checkpoints\/.*NoSuchBucket.*Check checkpoint\.store/)
})

test("a stop does not wait for a checkpoint that the bucket's server does not take", async () => {
  const options = { ...defaults, kafka: { bootstrap: kafka.bootstrap, settings: {} }, registry: { url: registry.url } }
  await Effect.runPromise(ensureTopics({ ...options, partitions: PARTITIONS }))
  const [port] = await freePorts(1)
  const gate = await gateTo(s3.endpoint, port!)
  await gate.open()
  const headrace = start(undefined, await configure("deaf", gate.url))
  await headrace.says(/running, \d+ ms after the start/)
  await gate.deafen()
  expect(await headrace.stop()).toBe(0)
  expect(headrace.log).not.toContain("by force")
  await gate.shut()
})
