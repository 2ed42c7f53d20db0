import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Answer, Call, isRefused, Sum } from "../fixtures/asynchronous.ts"
import { Slow, Step } from "../fixtures/slow.ts"
import { Headrace, poll } from "../support/headrace.ts"
import { createTopic, type Received, receive, receiveBytes, type Servers, send } from "../support/records.ts"

const CALLS = 6000
const ACCOUNTS = 23

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-async-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
  await createTopic(servers, "calls", 3)
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const callOf = (id: number) => {
  const account = `account-${id % ACCOUNTS}`
  return { key: account, id, account, cents: id, at: id * 5 }
}
const calls = Array.from({ length: CALLS }, (_, id) => callOf(id))
/** Into every partition, behind all windows; not counted. */
const closing = [0, 1, 2].map(partition => ({
  ...callOf(CALLS * 50 + partition),
  key: `closing-${partition}`,
  account: `closing-${partition}`,
  partition,
  at: CALLS * 5 + 60_000
}))

const start = (fixture = "asynchronous") =>
  new Headrace(join(import.meta.dir, `../fixtures/${fixture}.ts`), {
    clusters: { kafka: kafka.bootstrap, registry: registry.url },
    checkpoints: join(directory, fixture),
    flags: ["--lanes", "2", "--checkpoint-interval", "1 second"]
  })

const idsOf = (records: readonly Received[]) =>
  records
    .map(({ value }) => Number(value.id))
    .filter(id => id < CALLS)
    .sort((a, b) => a - b)
const kept = calls.filter(({ id }) => !isRefused(id))

/** Total and count by account and window, of records that are in a window. */
const sumsOf = (records: readonly { account: string; at: number; cents: number }[]) => {
  const sums = new Map<string, { total: number; calls: number }>()
  for (const { account, at, cents } of records) {
    const name = `${account}/${at - (at % 1000)}`
    const sum = sums.get(name) ?? { total: 0, calls: 0 }
    sums.set(name, { total: sum.total + cents * 2, calls: sum.calls + 1 })
  }
  return sums
}

test("effects under way when the process is killed happen again; results come once and in order", async () => {
  await send(servers, "calls", Call, [...calls, ...closing])
  for (const share of [0.1, 0.3, 0.5]) {
    const headrace = start()
    // It has committed, or the one before had done all that there was.
    const all = async () => (await answeredSoFar()) >= kept.length + closing.length
    const commits = async () => (await headrace.metric("headrace_commits_total")) >= 2 || (await all())
    await poll(commits, () => headrace.log)
    const done = async () => (await answeredSoFar()) >= CALLS * share || !headrace.running
    await poll(done, () => headrace.log)
    expect(headrace.running ? "running" : headrace.log).toBe("running")
    await headrace.kill()
  }
  const headrace = start()
  const count = async (topic: string) => (await receiveBytes(kafka.bootstrap, topic)).length
  const complete = async () =>
    (await answeredSoFar()) >= kept.length + closing.length &&
    (await count("calls.refused")) >= CALLS - kept.length &&
    (await count("sums")) >= sumsOf(kept).size
  await poll(
    async () => (await complete()) || !headrace.running,
    () => headrace.log
  )
  expect(await headrace.stop()).toBe(0)
  await check()
})

const answeredSoFar = async (): Promise<number> => (await receiveBytes(kafka.bootstrap, "answers")).length

const check = async (): Promise<void> => {
  const answers = await receive(servers, "answers", Answer)
  expect(idsOf(answers)).toEqual(kept.map(({ id }) => id))
  expect(answers.every(({ value }) => Number(value.answer) === 2 * Number(value.cents))).toBe(true)
  const last = new Map<string, number>()
  for (const { value, key } of answers) {
    expect(Number(value.id)).toBeGreaterThan(last.get(String(key)) ?? -1)
    last.set(String(key), Number(value.id))
  }
  const refused = await receive(servers, "calls.refused", Call)
  expect(idsOf(refused)).toEqual(calls.filter(({ id }) => isRefused(id)).map(({ id }) => id))
  expect(await receiveBytes(kafka.bootstrap, "calls.busy")).toEqual([])
  expect(await receiveBytes(kafka.bootstrap, "answers.late")).toEqual([])
  const sums = (await receive(servers, "sums", Sum)).filter(({ value }) => Number(value.windowStart) < CALLS * 5)
  const found = sums.map(({ value }): [string, { total: number; calls: number }] => [
    `${String(value.key)}/${String(value.windowStart)}`,
    { total: Number(value.total), calls: Number(value.calls) }
  ])
  expect(found.sort()).toEqual([...sumsOf(kept)].sort())
}

test("a step behind state that takes longer than the transaction time-out aborts nothing", async () => {
  await createTopic(servers, "steps", 1)
  const headrace = start("slow")
  const step = (id: number, at: number) => ({ key: "a", id, account: "a", at })
  await send(servers, "steps", Step, [step(1, 100), step(2, 5000)])
  await headrace.reaches("headrace_records_in_total", 2)
  // Late: an output of the transaction that the step, which the first window is in, keeps open; where this comes very
  // slowly, of the next.
  await send(servers, "steps", Step, [step(3, 101)])
  const isIn = async (topic: string) => (await receiveBytes(kafka.bootstrap, topic)).length > 0
  const answered = async () => !headrace.running || ((await isIn("slow")) && (await isIn("steps.late")))
  await poll(answered, () => headrace.log)
  expect(await headrace.metric("headrace_aborts_total", 'kind="lane"')).toBe(0)
  expect(await headrace.stop()).toBe(0)
  expect((await receive(servers, "slow", Slow)).map(({ value }) => [value.windowStart, value.steps])).toEqual([[0, 1]])
  expect((await receive(servers, "steps.late", Step)).map(({ value }) => value.id)).toEqual([3])
})
