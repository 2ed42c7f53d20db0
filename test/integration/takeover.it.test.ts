import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Admin } from "@headrace/kafka"
import { defaults, ensureTopics, type LoadReport, paymentsModule, runLoad } from "@headrace/loadtest"
import { Effect } from "effect"
import { Headrace, poll } from "../support/headrace.ts"
import { auditTopic, auditWindows, ensureIndependentClient } from "../support/independent.ts"

const PARTITIONS = 4
const RATE = 3000
/** What may be put back of a changelog in a takeover: this part of what a cold start puts back. */
const FEW = 1 / 4

let kafka: Kafka
let registry: Registry
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-takeover-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry(), ensureIndependentClient()])
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const started: Headrace[] = []
afterEach(() => Promise.all(started.splice(0).map(one => one.kill())))

const start = (instance: string, flags: readonly string[] = [], pipeline = paymentsModule) =>
  track(
    new Headrace(pipeline, {
      clusters: { kafka: kafka.bootstrap, registry: registry.url },
      checkpoints: join(directory, "checkpoints"),
      instance,
      flags: ["--lanes", "2", "--sinks", "none", "--checkpoint-interval", "2 seconds", ...flags]
    })
  )

/** What a failed test leaves behind would take partitions from the next one. */
const track = (one: Headrace): Headrace => {
  started.push(one)
  return one
}

/** Runs `scene` while events come in; answers with what became of all of them. */
const underLoad = async (scene: () => Promise<void>): Promise<LoadReport> => {
  const enough = new AbortController()
  const options = {
    ...defaults,
    kafka: { bootstrap: kafka.bootstrap, settings: {} },
    registry: { url: registry.url },
    rate: RATE,
    // Until it is stopped.
    forMs: 600_000,
    accounts: 2000,
    partitions: PARTITIONS,
    stop: enough.signal
  }
  const load = Effect.runPromise(runLoad(options))
  await scene().finally(() => enough.abort())
  const report = await load
  console.log(`${report.sent} events; latency in ms: ${JSON.stringify(report.latencyMs)}`)
  return report
}

const expectAllOnce = async (reports: readonly LoadReport[]): Promise<void> => {
  for (const report of reports) {
    expect(report.problems).toEqual([])
    expect(report).toMatchObject({ processed: report.sent, lost: 0, duplicated: 0, disordered: 0, unacknowledged: 0 })
    expect(report.windows).toMatchObject({ duplicated: 0, payments: report.windows.expectedPayments, exact: true })
  }
  const sent = reports.reduce((sum, report) => sum + report.sent, 0)
  const where = { bootstrap: kafka.bootstrap, registry: registry.url }
  const scored = await auditTopic({ ...where, topic: "payments.scored" })
  expect(scored).toMatchObject({ distinct: sent, duplicated: 0, disordered: 0, unreadable: 0 })
  expect((await auditWindows(where)).wrong).toEqual([])
}

const reports: LoadReport[] = []

const handOver = async (config: string): Promise<void> => {
  const access = { kafka: { bootstrap: kafka.bootstrap, settings: {} }, registry: { url: registry.url } }
  await Effect.runPromise(ensureTopics({ ...defaults, ...access, partitions: PARTITIONS }))
  const old = start("deploy", [], config)
  await old.says(/running, \d+ ms after the start/)
  let next: Headrace | undefined
  const report = await underLoad(async () => {
    // Past a round of checkpoints, with windows under way.
    await old.says(/running/)
    await old.reaches("headrace_commits_total", 100)
    next = start("deploy", ["--takeover", old.url!], config)
    await next.says(/follows 4 partitions/)
    expect(await old.ended()).toBe(0)
    await next.says(/running, \d+ ms after the start/)
    await next.reaches("headrace_commits_total", 100)
  })
  console.log(
    next?.log
      .split("\n")
      .filter(line => /INFO/.test(line))
      .join("\n")
  )
  expect(old.log).toContain("another process takes this one's place")
  const restored = await next!.metric("headrace_restored_total")
  expect(await next!.metric("headrace_partitions")).toBe(PARTITIONS)
  reports.push(report)
  await expectAllOnce(reports)
  expect(await next!.stop()).toBe(0)
  const cold = start("deploy", [], config)
  await cold.says(/running, \d+ ms after the start/)
  await poll(
    async () =>
      (await cold.metric("headrace_ready")) === 1 && (await cold.metric("headrace_partitions")) === PARTITIONS,
    () => cold.log
  )
  expect(restored).toBeLessThan(FEW * (await cold.metric("headrace_restored_total")))
  expect(await cold.stop()).toBe(0)
}

const takeFromDead = async (config: string): Promise<void> => {
  const flags = ["--standby", "2", "--app", "payments"]
  const killed = start("one", flags, config)
  const other = start("two", flags, config)
  await Promise.all([killed.says(/running, \d+/), other.says(/running, \d+/)])
  const report = await underLoad(async () => {
    await other.reaches("headrace_standby_partitions", PARTITIONS / 2)
    await other.reaches("headrace_commits_total", 100)
    await killed.kill()
    await other.reaches("headrace_partitions", PARTITIONS)
    await other.says(/Ending what was left open under payments\.\.one\.\./)
    // What the dead one owned, at the least: the group may have moved more.
    await other.reaches("headrace_standby_taken_over_total", PARTITIONS / 2)
    const commits = await other.metric("headrace_commits_total")
    await other.reaches("headrace_commits_total", commits + 100)
  })
  reports.push(report)
  await expectAllOnce(reports)
  expect(await other.stop()).toBe(0)
}

/** A group changes its protocol only when nobody is in it, also nobody who only does not answer any more. */
const emptied = async (): Promise<void> => {
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  let members: unknown
  await poll(
    async () => {
      members = await admin.members("payments")
      return Array.isArray(members) && members.length === 0
    },
    () => `nobody in the group: ${JSON.stringify(members)}`
  ).finally(() => admin.close())
}

describe.each(["classic", "consumer"])("%s protocol:", protocol => {
  let config: string
  beforeAll(async () => {
    config = join(directory, `${protocol}.yaml`)
    // What is left open must not end by itself before the session does.
    const settings = {
      session: { timeout: "6 seconds" },
      clusters: { kafka: { settings: { "group.protocol": protocol } } }
    }
    await writeFile(config, JSON.stringify({ pipeline: paymentsModule, ...settings }))
    await emptied()
  })

  test("a new process takes the place of the running one, with the state that it has followed", () => handOver(config))

  test("lanes of a process that was killed are taken over with followed state, and what they left open is ended", () =>
    takeFromDead(config))
})

test("a pipeline with other state is refused, and the running one goes on", async () => {
  const file = join(directory, "other.ts")
  await writeFile(
    file,
    `import { Schema } from "effect"
import { Agg, Pipeline, Sink, Source, Window } from "headrace"
const Event = Schema.Struct({ account: Schema.String, at: Schema.Number })
const Counted = Schema.Struct({ key: Schema.String, windowStart: Schema.Number, windowEnd: Schema.Number, n: Schema.Number })
export default Pipeline.make("payments")
  .from(Source.kafka("payments", Event.annotate({ identifier: "Event" }), { eventTime: e => e.at, outOfOrderness: "1 second", key: "account" }))
  .keyBy(e => e.account)
  .window(Window.tumbling("1 minute"), { n: Agg.count() })
  .to(Sink.kafka("payments.counted", Counted.annotate({ identifier: "Counted" })))
`
  )
  // As all before it: their members are still counted for a while.
  const old = start("refusing", [], join(directory, "consumer.yaml"))
  await old.says(/running, \d+ ms after the start/)
  const next = start("refusing", ["--takeover", old.url!], file)
  expect(await next.ended()).toBe(1)
  expect(next.log).toContain("savepoint")
  expect(old.running).toBe(true)
  expect(await old.metric("headrace_ready")).toBe(1)
  expect(await old.stop()).toBe(0)
})
