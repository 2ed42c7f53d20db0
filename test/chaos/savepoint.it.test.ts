/** Savepoints of two stages are taken and restored by processes that are killed with -9 at each write to their store, a bucket. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import { type Kafka, type Registry, type S3, startKafka, startRegistry, startS3 } from "@headrace/dev"
import { Balance, Payment } from "../fixtures/savepoints/payments.ts"
import { command, Headrace, headrace } from "../support/headrace.ts"
import { HeldBucket } from "../support/held-bucket.ts"
import { auditTopic, auditWindows, ensureIndependentClient } from "../support/independent.ts"
import { createTopic, receive, type Servers, send } from "../support/records.ts"

let kafka: Kafka
let registry: Registry
let s3: S3
let bucket: HeldBucket
let servers: Servers

const PARTITIONS = 2
const ACCOUNTS = 20
const PART = 500
/** Now: the broker's retention goes by the time of a record, and that of a window's result is its end. */
const BEGIN = Math.floor(Date.now() / 10_000) * 10_000
const payments = (part: number) =>
  Array.from({ length: PART }, (_, n) => {
    const id = part * PART + n
    const account = `account-${(id * 7) % ACCOUNTS}`
    return { key: account, id, kind: "payment", account, cents: (id * 13) % 997, at: BEGIN + id * 20 }
  })

beforeAll(async () => {
  ;[kafka, registry, s3] = await Promise.all([startKafka(), startRegistry(), startS3(), ensureIndependentClient()])
  bucket = new HeldBucket(s3)
  Object.assign(process.env, {
    AWS_ENDPOINT_URL_S3: bucket.endpoint,
    AWS_ACCESS_KEY_ID: s3.accessKeyId,
    AWS_SECRET_ACCESS_KEY: s3.secretAccessKey,
    AWS_REGION: s3.region
  })
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
  await createTopic(servers, "payments", PARTITIONS)
})

afterAll(async () => {
  await bucket?.stop()
  await Promise.all([kafka?.stop(), registry?.stop(), s3?.stop()])
})

const pipeline = join(import.meta.dir, "../fixtures/savepoints/staged/before.ts")
const store = () => `s3://${s3.bucket}/kept`
const where = (app: string) => [
  ...["--kafka", servers.bootstrap, "--registry", servers.registry, "--app", app],
  ...["--checkpoints", store(), "--savepoints", store()]
]
const list = async (): Promise<string[]> => {
  const { out } = await headrace("savepoint", "list", "--json", "--savepoints", store())
  return JSON.parse(out).map((one: { id: string }) => one.id)
}
/** The names of the files in the store whose paths have this in them. */
const kept = async (part: string): Promise<readonly string[]> => {
  const files = await readdir(join(s3.directory, "kept"), { recursive: true, withFileTypes: true })
  const found = files.filter(file => file.isFile() && `${file.parentPath}/${file.name}`.includes(part))
  return found.map(({ name }) => name).toSorted()
}
const inspect = async (id: string) => {
  const { out } = await headrace("savepoint", "inspect", id, "--json", "--savepoints", store())
  return JSON.parse(out)
}

const start = (app: string): Headrace =>
  new Headrace(pipeline, {
    clusters: { kafka: servers.bootstrap, registry: servers.registry },
    checkpoints: store(),
    flags: ["--app", app, "--lanes", "1", "--savepoints", store()]
  })
const running = async (app: string) => {
  const job = start(app)
  await job.says(/running, \d+ ms after the start/)
  return { job, url: job.url! }
}

/** A command is killed at its n-th write; answers with that write, or undefined if it ended before. */
const killedAt = async (n: number, ...args: readonly string[]): Promise<string | undefined> => {
  const write = bucket.holdWrite(n)
  const one = command("savepoint", ...args)
  const at = await Promise.race([write, one.ended.then(({ code, err }) => (code === 0 ? undefined : `failed: ${err}`))])
  one.kill()
  await one.ended
  return at
}

test("jobs, savepoints and restores that are killed at each write go on, or say what to do", async () => {
  // A running job is killed while it ends with a savepoint: it is none, and the job goes on from its own state.
  await send(servers, "payments", Payment, payments(0))
  const first = await running("one")
  await first.job.reaches("headrace_records_in_total", PART)
  const written = bucket.holdWrite(1, name => name.includes("/savepoints/"))
  const stopping = headrace("savepoint", "create", "--url", first.url, "--stop", "--id", "ended")
  await written
  await first.job.kill()
  expect((await stopping).code).toBe(1)
  expect(await list()).toEqual([])
  const again = await running("one")
  const ended = await headrace("savepoint", "create", "--url", again.url, "--stop", "--id", "ended")
  expect(ended).toMatchObject({ code: 0, out: "ended\n" })
  expect(await again.job.ended()).toBe(0)
  const { operators } = await inspect("ended")

  // What one that was killed has left is removed by the next one, which says so.
  const left = ["create", pipeline, ...where("one"), "--id", "left"]
  expect(await killedAt(2, ...left)).toMatch(/^PUT .*savepoints\/left\/payments\/0\.checkpoint$/)
  expect(await kept("savepoints/left")).toEqual(["one.begun", "0.checkpoint"].toSorted())
  const next = await headrace("savepoint", "create", pipeline, ...where("one"), "--id", "next")
  expect(next.err).toContain("the savepoint left of one was begun and never ended: removed its files (1)")
  expect(await kept("savepoints/left")).toEqual([])
  expect((await headrace("savepoint", "delete", "next", "--savepoints", store())).code).toBe(0)
  expect(await kept("savepoints/next")).toEqual([])
  const unknown = await headrace("savepoint", "delete", "next", "--savepoints", store())
  expect(unknown).toMatchObject({
    code: 1,
    err: expect.stringContaining("There is no savepoint next: the store has ended")
  })

  // A savepoint that is being written is there with its last write, and the same command writes it.
  const create = ["create", pipeline, ...where("one"), "--id", "base"]
  const created: string[] = []
  for (let n = 1; !(await list()).includes("base"); n++) created.push((await killedAt(n, ...create))!)
  expect(created.length).toBeGreaterThan(PARTITIONS)
  expect(created.at(-1)).toMatch(/^PUT .*savepoints\/base\.json$/)
  expect((await inspect("base")).operators).toEqual(operators)
  expect((await headrace("savepoint", ...create)).err).toContain("There is a savepoint base already")

  // A restore: lanes stay away and no savepoint is taken until it has been run to its end.
  const restore = ["restore", "base", pipeline, ...where("two")]
  const refusal = "The restore of the savepoint base into two has not ended: run headrace savepoint restore base again"
  const restored: string[] = []
  for (let n = 1; ; n++) {
    const at = await killedAt(n, ...restore)
    if (at === undefined) throw new Error(`it ended before its write ${n}: ${restored}`)
    restored.push(at)
    if (at.startsWith("DELETE") && at.endsWith("base.begun")) break
    const lane = start("two")
    expect(await lane.ended()).toBe(1)
    expect(lane.log).toContain(refusal)
    if (n === 1) expect((await headrace("savepoint", "create", pipeline, ...where("two"))).err).toContain(refusal)
  }
  expect(restored[0]).toMatch(/^PUT .*base\.begun$/)
  expect(restored.filter(write => write.endsWith(".checkpoint")).length).toBeGreaterThanOrEqual(PARTITIONS)

  // What was restored goes on; drained, killed after its windows were closed, and drained again, it closes none twice.
  await send(servers, "payments", Payment, payments(1))
  const second = await running("two")
  await second.job.reaches("headrace_records_in_total", PART)
  const drained = bucket.holdWrite(1, name => name.includes("/savepoints/"))
  const draining = headrace("savepoint", "create", "--url", second.url, "--stop", "--drain", "--id", "drained")
  await drained
  await second.job.kill()
  expect((await draining).code).toBe(1)
  const last = await running("two")
  const done = await headrace("savepoint", "create", "--url", last.url, "--stop", "--drain", "--id", "drained")
  expect(done).toMatchObject({ code: 0, out: "drained\n" })
  expect(await last.job.ended()).toBe(0)

  const balances = await receive(servers, "balances", Balance)
  expect(new Map(balances.map(({ value }) => [Number(value.id), Number(value.cents)]))).toEqual(naive(2))
  const topic = await auditTopic({ ...servers, topic: "balances" })
  expect(topic).toMatchObject({ records: 2 * PART, distinct: 2 * PART, duplicated: 0, disordered: 0 })
  const { events, late, wrong } = await auditWindows(servers)
  expect({ events, late, wrong }).toEqual({ events: 2 * PART, late: 0, wrong: [] })

  // Deleted, nothing is left of it; what has state is overwritten only when that is said.
  expect(await list()).toEqual(["ended", "base", "drained"])
  expect((await headrace("savepoint", "delete", "base", "--savepoints", store())).code).toBe(0)
  expect((await list()).includes("base")).toBe(false)
  expect(await kept("base")).toEqual(["base.done"])
  const other = ["restore", "ended", pipeline, ...where("two")]
  expect((await headrace("savepoint", ...other)).err).toContain("two has state of its own")
  expect((await headrace("savepoint", ...other, "--force")).out).toContain("restored from ended")
}, 600_000)

/** The running balance of each account after each payment, recomputed over everything that was sent. */
const naive = (parts: number): Map<number, number> => {
  const balances = new Map<string, number>()
  const after = new Map<number, number>()
  for (const { id, account, cents } of Array.from({ length: parts }, (_, part) => payments(part)).flat()) {
    balances.set(account, (balances.get(account) ?? 0) + cents)
    after.set(id, balances.get(account)!)
  }
  return after
}
