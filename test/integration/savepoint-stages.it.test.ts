/** A job of two stages goes on from savepoints as other versions, and in other numbers of partitions. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Balance, Payment } from "../fixtures/savepoints/payments.ts"
import { Headrace, headrace } from "../support/headrace.ts"
import { auditTopic, auditWindows, ensureIndependentClient } from "../support/independent.ts"
import { createTopic, receive, type Servers, send, sendBytes } from "../support/records.ts"

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string

beforeAll(async () => {
  await ensureIndependentClient()
  directory = await mkdtemp(join(tmpdir(), "headrace-savepoint-stages-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const fixture = (name: string): string => join(import.meta.dir, `../fixtures/savepoints/staged/${name}.ts`)
const where = () => ["--kafka", servers.bootstrap, "--registry", servers.registry]
const stores = () => ["--checkpoints", join(directory, "checkpoints"), "--savepoints", join(directory, "savepoints")]
const savepoint = (...args: string[]) => headrace("savepoint", ...args)

const start = (name: string, app: string, ...flags: string[]): Headrace =>
  new Headrace(fixture(name), {
    clusters: { kafka: servers.bootstrap, registry: servers.registry },
    checkpoints: join(directory, "checkpoints"),
    flags: ["--app", app, "--lanes", "2", "--savepoints", join(directory, "savepoints"), ...flags]
  })

const ACCOUNTS = 50
const PART = 3000
/** Now: the broker's retention goes by the time of a record, and that of a window's result is its end. */
const BEGIN = Math.floor(Date.now() / 10_000) * 10_000
/** An account's payments stand in all partitions. Out of order by up to 10 s, within the bound of 20 s. */
const payments = (part: number) =>
  Array.from({ length: PART }, (_, n) => {
    const id = part * PART + n
    const kind = id % 11 === 0 ? "refund" : "payment"
    const [account, key] = [`account-${(id * 7) % ACCOUNTS}`, `terminal-${(id * 5) % 13}`]
    return { key, id, kind, account, cents: (id * 13) % 997, at: BEGIN + id * 20 + ((id * 31) % 10) * 1000 }
  })

/** Each payment counts once, and the balances of an account are one sum that goes on, whatever order they came in. */
const checkBalances = async (parts: number): Promise<void> => {
  const paid = new Map(
    Array.from({ length: parts }, (_, part) => payments(part))
      .flat()
      .filter(({ kind }) => kind === "payment")
      .map(({ id, account, cents }) => [id, { account, cents }])
  )
  const sums = new Map<string, number>()
  const wrong: unknown[] = []
  for (const { value } of await receive(servers, "balances", Balance)) {
    const [id, account, cents] = [Number(value.id), String(value.account), Number(value.cents)]
    const one = paid.get(id)
    const sum = (sums.get(account) ?? 0) + (one?.cents ?? 0)
    if (one?.account !== account || sum !== cents) wrong.push(value)
    paid.delete(id)
    sums.set(account, sum)
  }
  expect({ wrong, missing: [...paid.keys()] }).toEqual({ wrong: [], missing: [] })
}

test("2 → 4 → 2 partitions of two stages, through a changed pipeline, give what one uninterrupted run would", async () => {
  await createTopic(servers, "payments", 2)
  await createTopic(servers, "payments-four", 4)
  await createTopic(servers, "payments-two", 2)

  // Stopped in the middle: what is left in the topic is read by who goes on, and nothing is between the stages.
  const first = start("before", "one")
  const [, url] = await first.says(/health and metrics at (\S+?),/)
  await first.reaches("headrace_partitions", 4)
  await send(servers, "payments", Payment, payments(0))
  await first.reaches("headrace_records_out_total", 1)
  // One that is taken while it works, and goes on: looked at below.
  expect(await savepoint("create", "--url", url!, "--id", "beside")).toMatchObject({ code: 0, out: "beside\n" })
  expect(await savepoint("create", "--url", url!, "--stop", "--id", "stopped")).toMatchObject({ code: 0 })
  expect(await first.ended()).toBe(0)
  const inspected = await savepoint("inspect", "stopped", "--json", "--savepoints", join(directory, "savepoints"))
  const { partitions, operators } = JSON.parse(inspected.out)
  const places = operators.map(({ id, topic }: { id: string; topic: string }) => `${id} of ${topic}`).sort()
  expect(places).toEqual([
    "alerts of one-exchange-keyBy-account",
    "balances of one-exchange-keyBy-account",
    "exchange:keyBy:account of one-exchange-keyBy-account",
    "source:payments of payments",
    "spend of one-exchange-keyBy-account"
  ])
  expect(partitions).toHaveLength(4)
  // The job that has ended can be saved from outside as well, and is the same.
  const outside = ["create", fixture("before"), ...where(), ...stores(), "--app", "one", "--id", "outside"]
  expect(await savepoint(...outside)).toMatchObject({ code: 0, out: "outside\n" })
  const again = await savepoint("inspect", "outside", "--json", "--savepoints", join(directory, "savepoints"))
  expect(JSON.parse(again.out).operators).toEqual(operators)

  // The same number of partitions, under another name, to the end of the topic.
  const second = start("before", "two", "--from-savepoint", "stopped", "--stop-with-savepoint", "--id", "whole")
  expect(await second.ended()).toBe(0)
  expect(second.log).toContain("two-exchange-keyBy-account: 2 partitions, as in the savepoint")
  await checkBalances(1)

  // Four, and another version: a state in another shape, one less, a step less and one more.
  const misfit = await savepoint("restore", "whole", fixture("after"), ...where(), ...stores(), "--app", "three")
  expect(misfit.err).toMatch(/no place for state/)
  await send(servers, "payments-four", Payment, payments(1))
  const bounded = ["--allow-non-restored-state", "--source-offsets", "earliest", "--stop-with-savepoint"]
  const four = ["--source", "payments=payments-four", "--id", "four"]
  const third = start("after", "three", "--from-savepoint", "whole", ...four, ...bounded)
  expect(await third.ended()).toBe(0)
  expect(third.log).toContain(
    "three-exchange-keyBy-account: 2 partitions of two-exchange-keyBy-account split by key into 4"
  )
  expect(third.log).toMatch(/balances +restored, state balance migrated, state history left behind/)
  await checkBalances(2)

  // Two again, in which event time comes to its end.
  await send(servers, "payments-two", Payment, payments(2))
  const two = ["--source", "payments-four=payments-two", "--drain", "--id", "end"]
  const last = start("back", "four", "--from-savepoint", "four", ...two, ...bounded)
  expect(await last.ended()).toBe(0)
  expect(last.log).toContain("4 partitions of three-exchange-keyBy-account split by key into 2")
  await checkBalances(3)
  const topic = await auditTopic({ ...servers, topic: "balances" })
  expect(topic).toMatchObject({ duplicated: 0, unreadable: 0 })
  const windows = await auditWindows({ ...servers, sources: "payments,payments-four,payments-two" })
  const { events, late, wrong } = windows
  expect({ events, late, wrong }).toEqual({ events: 3 * PART, late: 0, wrong: [] })
  const counts = await receive(servers, "counts", Balance)
  expect(counts).toHaveLength([1, 2].flatMap(payments).filter(({ kind }) => kind === "payment").length)

  // The one that was taken beside the job is whole, too: from there on each balance comes to what all payments make.
  const ends = new Map<number, number>()
  for (const { partition, offset } of await receive(servers, "balances", Balance)) ends.set(partition, offset)
  const other = start("before", "five", "--from-savepoint", "beside", "--stop-with-savepoint", "--id", "five")
  expect(await other.ended()).toBe(0)
  const behind = (await receive(servers, "balances", Balance)).filter(
    one => one.offset > (ends.get(one.partition) ?? -1)
  )
  const latest = new Map(behind.map(({ value }) => [String(value.account), Number(value.cents)]))
  const sums = new Map<string, number>()
  for (const { kind, account, cents } of payments(0))
    if (kind === "payment") sums.set(account, (sums.get(account) ?? 0) + cents)
  expect([...latest].map(([account, cents]) => [account, cents, sums.get(account)])).toEqual(
    [...latest].map(([account]) => [account, sums.get(account), sums.get(account)])
  )

  // With a record between its stages there is no savepoint of it.
  const record = { key: "account-1", value: Uint8Array.of(1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0), partition: 1 }
  await sendBytes(servers, "four-exchange-keyBy-account", [record])
  const refused = await savepoint("create", fixture("back"), ...where(), ...stores(), "--app", "four", "--id", "none")
  expect(refused.code).toBe(1)
  expect(refused.err).toMatch(/four has several stages[\s\S]*1 records of four-exchange-keyBy-account\/1[\s\S]*--stop/)
  const listed = await savepoint("list", "--json", "--savepoints", join(directory, "savepoints"))
  expect(JSON.parse(listed.out).map(({ id }: { id: string }) => id)).toEqual([
    "beside",
    "stopped",
    "outside",
    "whole",
    "four",
    "end",
    "five"
  ])
})
