/** Patterns that come as data: added, changed, paused, removed and refused while the job runs, through kill -9. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Patterns } from "headrace"
import { Alert, Payment } from "../fixtures/fraud.ts"
import { Headrace, headrace, poll } from "../support/headrace.ts"
import { auditTopic, ensureIndependentClient } from "../support/independent.ts"
import { createTopic, receive, type Servers, send, sendBytes } from "../support/records.ts"

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string

beforeAll(async () => {
  await ensureIndependentClient()
  directory = await mkdtemp(join(tmpdir(), "headrace-patterns-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
  await createTopic(servers, "fraud.payments", PARTITIONS)
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const PARTITIONS = 3
const ACCOUNTS = 12
const BEGIN = Math.floor(Date.now() / 60_000) * 60_000 - 7_200_000

/** Small ones, and now and then a large one; out of order by less than the bound. */
const payment = (id: number) => {
  const account = `account-${(id * 7) % ACCOUNTS}`
  return { key: account, account, id, cents: (id * 31) % 100, at: BEGIN + id * 40 + ((id * 13) % 7) * 200 }
}
type Paid = ReturnType<typeof payment>
let sent = 0
const paid: Paid[] = []
const pay = async (count: number) => {
  const some = Array.from({ length: count }, (_, i) => payment(sent + i))
  sent += count
  paid.push(...some)
  await send(servers, "fraud.payments", Payment, some)
}

const start = (instance: string, app = "fraud", ...more: readonly string[]) =>
  new Headrace(join(import.meta.dir, "../fixtures/fraud.ts"), {
    clusters: { kafka: servers.bootstrap, registry: servers.registry },
    checkpoints: join(directory, "checkpoints"),
    instance,
    flags: [
      ...["--app", app, "--lanes", "2", "--checkpoint-interval", "1 second"],
      ...["--savepoints", join(directory, "savepoints"), ...more]
    ]
  })

const pattern = (...args: readonly string[]) =>
  headrace(
    "pattern",
    ...args,
    "--topic",
    "fraud.patterns",
    "--kafka",
    servers.bootstrap,
    "--registry",
    servers.registry,
    // Whoever replies may have to start first.
    "--wait",
    "2 minutes"
  )

/** A payment of at least so much, and the next one of the account of at most so little. */
const apply = async (id: string, least: number, most: number) => {
  const file = join(directory, `${id}.json`)
  const steps = [
    { name: "large", where: { field: "cents", op: ">=", value: least } },
    { name: "small", contiguity: "next", where: { field: "cents", op: "<=", value: most } }
  ]
  await writeFile(file, JSON.stringify({ pattern: steps, within: { ms: 3_600_000, type: "first-and-last" } }))
  return pattern("apply", file)
}

interface Said {
  readonly version: number
  readonly status: "active" | "paused" | "removed"
  readonly least: number
  readonly most: number
}

/** What was said of each pattern, in its order, and from when on it held, as the replies have it. */
const replies = async () =>
  (await receive(servers, "fraud.patterns.replies", Patterns.Reply)).map(
    ({ value }) => value as unknown as Patterns.Reply
  )

/** Every event of an account in the order of its time, looked at by what held then. */
const expected = (id: string, said: readonly (Said & { readonly from: number })[]) => {
  const found: string[] = []
  for (let account = 0; account < ACCOUNTS; account++) {
    const own = paid.filter(one => one.account === `account-${account}`).toSorted((a, b) => a.at - b.at)
    let large: (Paid & { readonly version: number }) | undefined
    for (const event of own) {
      const now = said.filter(({ from }) => from < event.at).at(-1)
      if (now?.version !== large?.version) large = undefined
      if (now?.status !== "active") continue
      if (large !== undefined && event.cents <= now.most) found.push(`${id} ${now.version} ${large.id} ${event.id}`)
      large = event.cents >= now.least ? { ...event, version: now.version } : undefined
    }
  }
  return found.toSorted()
}

const alerts = async () =>
  (await receive(servers, "fraud.alerts", Alert)).map(({ value }) => {
    const { pattern: id, version, steps } = value as unknown as Patterns.Match<typeof Payment.Type, string>
    return `${id} ${version} ${steps.flatMap(({ events }) => events.map(event => event.id)).join(" ")}`
  })

/** Matches of a version come out: event time goes on. */
const finds = (version: string, running: Headrace) =>
  poll(
    async () => (await alerts()).filter(one => one.startsWith(version)).length > 10,
    () => `alerts of ${version}; log:\n${running.log}`
  )

test("added, changed, paused, resumed and removed at one event time in all lanes, through kill -9", async () => {
  const [first, second] = [start("first"), start("second")]
  await Promise.all([first.reaches("headrace_partitions", 1), second.reaches("headrace_partitions", 1)])
  await pay(600)
  expect(await apply("trial", 60, 40)).toMatchObject({ code: 0, out: "trial version 1 accepted\n" })
  expect(await apply("other", 90, 20)).toMatchObject({ code: 0, out: "other version 1 accepted\n" })
  await pay(600)
  await finds("trial 1", first)
  await pay(200)
  await second.kill()
  // What comes now is accepted by whoever has the control topic's partition by then.
  const third = start("second")
  expect(await apply("trial", 50, 30)).toMatchObject({ code: 0, out: "trial version 2 accepted\n" })
  await pay(600)
  await finds("trial 2", third)
  expect(await pattern("pause", "trial")).toMatchObject({ code: 0, out: "trial version 2 paused\n" })
  await pay(600)
  await first.kill()
  await third.kill()
  const [fourth, fifth] = [start("first"), start("second")]
  expect(await pattern("resume", "trial")).toMatchObject({ code: 0, out: "trial version 2 active\n" })
  await pay(600)
  expect(await pattern("remove", "other")).toMatchObject({ code: 0, out: "other version 1 removed\n" })
  await pay(600)

  // Bad ones: the job says why, what held goes on, and what stands on the topic is what held.
  const bad = join(directory, "trial.json")
  await writeFile(bad, JSON.stringify({ pattern: [{ name: "large", where: { field: "cent", op: ">=", value: 1 } }] }))
  expect(await pattern("apply", bad)).toMatchObject({
    code: 1,
    err: expect.stringContaining(
      '"trial" was refused: step "large", where.field: "cent" is no field of the events, which have account, id, cents, at'
    )
  })
  await sendBytes(servers, "fraud.patterns", [{ key: "x", value: new TextEncoder().encode("nonsense"), partition: 0 }])
  expect(await pattern("pause", "nobody")).toMatchObject({ code: 1 })
  await pay(600)

  // Far behind all others: event time goes on past every change and match.
  const end = (cents: number, at: number) =>
    Array.from({ length: PARTITIONS }, (_, partition) => {
      const account = `end-${partition}`
      return { partition, key: account, account, id: -1, cents, at: BEGIN + at }
    })
  await send(servers, "fraud.payments", Payment, [...end(70, 3_600_000), ...end(45, 3_700_000)])
  const from = async (id: string) => (await replies()).filter(one => one.id === id && one.from !== null)
  await poll(
    async () => (await from("trial")).length >= 4 && (await from("other")).length >= 2,
    () => `all changes in force; log:\n${fourth.log}\n${fifth.log}`
  )
  const times = async (id: string) => (await from(id)).map(one => Number(one.from))
  const v1 = { version: 1, status: "active", least: 60, most: 40 } as const
  const v2 = { version: 2, status: "active", least: 50, most: 30 } as const
  const trial = [v1, v2, { ...v2, status: "paused" } as const, v2]
  const o1 = { version: 1, status: "active", least: 90, most: 20 } as const
  const other = [o1, { ...o1, status: "removed" } as const]
  const with_ = (said: readonly Said[], at: readonly number[]) => said.map((one, i) => ({ ...one, from: at[i]! }))
  const [trialAt, otherAt] = [await times("trial"), await times("other")]
  expect([trialAt.length, otherAt.length]).toEqual([4, 2])
  const all = [...expected("trial", with_(trial, trialAt)), ...expected("other", with_(other, otherAt))]
  expect(all.filter(one => one.startsWith("trial 1")).length).toBeGreaterThan(10)
  expect(all.filter(one => one.startsWith("trial 2")).length).toBeGreaterThan(10)
  await poll(
    async () => (await alerts()).length >= all.length,
    () => `${all.length} alerts; log:\n${fourth.log}`
  )
  expect((await alerts()).toSorted()).toEqual(all.toSorted())
  const audit = await auditTopic({ bootstrap: servers.bootstrap, registry: servers.registry, topic: "fraud.alerts" })
  expect(audit).toMatchObject({ records: all.length, unreadable: 0 })

  const explained = await Promise.all(
    [fourth, fifth].map(one => headrace("pattern", "explain", "--key", "end-0", "--url", one.url!))
  )
  const [under, ...others] = explained.map(one => one.out).filter(one => !one.startsWith("nothing is under way"))
  expect(others).toEqual([])
  expect(under).toStartWith(
    `trial (fraud) waits for small, until ${BEGIN + 7_200_000}\n  large at ${BEGIN + 3_600_000}: {`
  )

  const { out } = await pattern("list")
  expect(out).toMatch(/^other {2}version 1 {2}removed {2}in force from 2.*\ntrial {2}version 2 {2}active {3}accepted/)
  expect([await fourth.stop(), await fifth.stop()]).toEqual([0, 0])
})

/** `headrace pattern test` on the job's topic, with what it found as `alerts` has it. */
const tried = async (file: string, ...more: readonly string[]) => {
  const source = ["--topic", "fraud.payments", "--pipeline", join(import.meta.dir, "../fixtures/fraud.ts")]
  const clusters = ["--kafka", servers.bootstrap, "--registry", servers.registry]
  const { code, out, err } = await headrace("pattern", "test", file, "--json", ...source, ...clusters, ...more)
  const lines = out.split("\n").filter(line => line.includes('"kind":"match"'))
  const found = lines.map(line => {
    const { steps } = JSON.parse(line) as { steps: { events: { id: number }[] }[] }
    return `tried 1 ${steps.flatMap(({ events }) => events.map(({ id }) => id)).join(" ")}`
  })
  return { code, said: err.trim().split("\n").at(-1), found: found.toSorted() }
}

test("a pattern is tried on what the topic holds, decoded as by the pipeline", async () => {
  const file = join(directory, "tried.json")
  const steps = [
    { name: "large", where: { field: "cents", op: ">=", value: 60 } },
    { name: "small", contiguity: "next", where: { field: "cents", op: "<=", value: 40 } }
  ]
  await writeFile(file, JSON.stringify({ pattern: steps, within: { ms: 3_600_000, type: "first-and-last" } }))
  const { code, said, found } = await tried(file)
  expect(code).toBe(0)
  expect(said).toMatch(new RegExp(`^${paid.length + 2 * PARTITIONS} events: .* 0 late$`))
  const always = { version: 1, status: "active", least: 60, most: 40, from: Number.NEGATIVE_INFINITY } as const
  expect(found).toEqual(expected("tried", [always]))
  expect((await tried(file, "--limit", "100")).said).toStartWith("100 events: ")
})

test("what holds is part of a savepoint: a job that goes on from it looks for the same", async () => {
  const job = start("first")
  await job.reaches("headrace_partitions", 2 * PARTITIONS + 1)
  const saved = await headrace("savepoint", "create", "--url", job.url!, "--stop", "--id", "kept")
  expect(saved).toMatchObject({ code: 0, out: "kept\n" })
  expect(await job.ended()).toBe(0)
  const next = start("first", "fraud-2", "--from-savepoint", "kept")
  const account = "account-1"
  const two = [
    { key: account, account, id: 90_001, cents: 80, at: BEGIN + 4_000_000 },
    { key: account, account, id: 90_002, cents: 10, at: BEGIN + 4_000_100 }
  ]
  const closing = Array.from({ length: PARTITIONS }, (_, partition) => ({
    ...{ partition, key: `end-${partition}`, account: `end-${partition}`, id: -1, cents: 45, at: BEGIN + 5_000_000 }
  }))
  await send(servers, "fraud.payments", Payment, [...two, ...closing])
  await poll(
    async () => (await alerts()).includes("trial 2 90001 90002"),
    () => `an alert behind the savepoint; log:\n${next.log}`
  )
  expect(await next.stop()).toBe(0)
})

test("a pattern is tried from a time on, and what cannot be decoded is counted", async () => {
  const since = new Date().toISOString()
  await sendBytes(servers, "fraud.payments", [{ key: "x", value: new TextEncoder().encode("nonsense"), partition: 0 }])
  expect((await tried(join(directory, "tried.json"), "--from", since)).said).toBe(
    "0 events: 0 matches, 0 timed out, 0 late, 1 records that could not be decoded"
  )
})
