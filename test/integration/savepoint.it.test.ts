/** A job goes on as another version of itself, and in other numbers of partitions, as if it had never been interrupted. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, readdir, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Balance, Payment } from "../fixtures/savepoints/payments.ts"
import { Headrace, headrace } from "../support/headrace.ts"
import { auditTopic, auditWindows, ensureIndependentClient } from "../support/independent.ts"
import { createTopic, receive, type Servers, send } from "../support/records.ts"

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string

beforeAll(async () => {
  await ensureIndependentClient()
  directory = await mkdtemp(join(tmpdir(), "headrace-savepoint-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const fixture = (name: string): string => join(import.meta.dir, `../fixtures/savepoints/${name}.ts`)
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
/** Out of order by up to 10 s, within the bound of 20 s: nothing is late, however partitions are cut. */
const payments = (part: number) =>
  Array.from({ length: PART }, (_, n) => {
    const id = part * PART + n
    const account = `account-${(id * 7) % ACCOUNTS}`
    const kind = id % 11 === 0 ? "refund" : "payment"
    return { key: account, id, kind, account, cents: (id * 13) % 997, at: BEGIN + id * 20 + ((id * 31) % 10) * 1000 }
  })

/** The running balance of each account after each payment, recomputed over everything that was sent. */
const naive = (parts: number): Map<number, number> => {
  const balances = new Map<string, number>()
  const after = new Map<number, number>()
  for (const { id, kind, account, cents } of Array.from({ length: parts }, (_, part) => payments(part)).flat()) {
    if (kind !== "payment") continue
    balances.set(account, (balances.get(account) ?? 0) + cents)
    after.set(id, balances.get(account)!)
  }
  return after
}

/** Which payment of its account each of some parts is. */
const counted = (from: number, to: number): Map<number, number> => {
  const counts = new Map<string, number>()
  const of = new Map<number, number>()
  const parts = Array.from({ length: to - from }, (_, part) => payments(from + part))
  for (const { id, kind, account } of parts.flat()) {
    if (kind !== "payment") continue
    counts.set(account, (counts.get(account) ?? 0) + 1)
    of.set(id, counts.get(account)!)
  }
  return of
}

test("2 → 4 → 2 partitions, through a changed pipeline, give what one uninterrupted run would", async () => {
  await createTopic(servers, "payments", 2)
  await createTopic(servers, "payments-four", 4)
  await createTopic(servers, "payments-two", 2)

  // The first version, stopped with a savepoint over HTTP.
  await send(servers, "payments", Payment, payments(0))
  const first = start("before", "one")
  await first.reaches("headrace_records_in_total", PART)
  const url = (await first.says(/health and metrics at (\S+?),/))[1]!
  const beside = await savepoint("create", "--url", url, "--id", "beside")
  expect(beside).toMatchObject({ code: 0, out: "beside\n" })
  // A version that keeps other state does not go on from it as it is: not in its place, and not after it.
  const successor = start("misfit", "one", "--takeover", url)
  expect(await successor.ended()).toBe(1)
  expect(successor.log).toMatch(/cannot take over[\s\S]*spend, the window's size\n +was: +10000 ms\n +is: +20000 ms/)
  expect(successor.log).toMatch(/balances, state balance\n +was: +integer\n +is: +\{ cents: integer \}/)
  const created = await savepoint("create", "--url", url, "--stop")
  expect(created.code).toBe(0)
  const taken = created.out.trim()
  expect(await first.ended()).toBe(0)
  const changedOnly = start("misfit", "one")
  expect(await changedOnly.ended()).toBe(1)
  expect(changedOnly.log).toMatch(
    /is not what the pipeline keeps:\n +(spend, the window's size|balances, state balance)\n +was: .*\n +is: .*\nTake a savepoint/
  )

  // What it holds; the one that was taken without a process is the same state, and clears what one has left that was killed.
  const left = join(directory, "savepoints/savepoints/left")
  await Bun.write(join(left, "one.begun"), "{}\n")
  await Bun.write(join(left, "payments/0.checkpoint"), "some of it")
  const again = await savepoint("create", fixture("before"), ...where(), ...stores(), "--app", "one", "--id", "stopped")
  expect(again).toMatchObject({ code: 0, out: "stopped\n" })
  expect(again.err).toContain("the savepoint left of one was begun and never ended: removed its files (1)")
  expect((await readdir(left, { recursive: true, withFileTypes: true })).filter(file => file.isFile())).toEqual([])
  const manifest = async (id: string) =>
    JSON.parse((await savepoint("inspect", id, "--json", "--savepoints", join(directory, "savepoints"))).out)
  const { operators, partitions } = await manifest(taken)
  expect((await manifest("stopped")).operators).toEqual(operators)
  expect(operators.map((one: { id: string }) => one.id).sort()).toEqual([
    "alerts",
    "balances",
    "source:payments",
    "spend"
  ])
  expect(operators.find((one: { id: string }) => one.id === "balances").keys).toBe(ACCOUNTS)
  expect(partitions.reduce((sum: number, one: { sourceOffset: number }) => sum + one.sourceOffset, 0)).toBe(PART)
  const shown = await savepoint("inspect", taken, "--savepoints", join(directory, "savepoints"))
  expect(shown.out).toMatch(/balances +50 .*process balance: value of integer, history: list of integer/)

  // Refused: what does not fit, what is left over, what has other offsets, what would overwrite.
  const restore = (name: string, app: string, ...flags: string[]) =>
    savepoint("restore", taken, fixture(name), ...where(), ...stores(), "--app", app, ...flags)
  const misfit = await restore("misfit", "two")
  expect(misfit.code).toBe(1)
  expect(misfit.err).toMatch(/spend, the window's size\n +was: +10000 ms\n +is: +20000 ms/)
  expect(misfit.err).toMatch(
    /balances, state balance\n +was: +integer\n +is: +\{ cents: integer \}\n +to do: add a migration/
  )
  const renamed = ["--source", "payments=payments-four"]
  const leftover = await restore("after", "two", ...renamed)
  expect(leftover.err).toMatch(
    /no place for state[\s\S]*alerts \(52 entries\)[\s\S]*balances: state history[\s\S]*--allow-non-restored-state/
  )
  const changed = [...renamed, "--allow-non-restored-state"]
  expect((await restore("after", "two", ...changed)).err).toContain("mean nothing in payments-four")
  const overwrite = await restore("before", "one")
  expect(overwrite.err).toMatch(/one has state of its own: .*--force/)

  // Four partitions and another version.
  await send(servers, "payments-four", Payment, payments(1))
  const restored = await restore("after", "two", ...changed, "--source-offsets", "earliest")
  expect(restored.err + restored.out).toMatch(/2 partitions of payments split by key into 4/)
  expect(restored.out).toMatch(/balances +restored, state balance migrated, state history left behind/)
  const second = start("after", "two")
  await second.reaches("headrace_records_in_total", PART)
  const halfway = await savepoint("create", "--url", (await second.says(/health and metrics at (\S+?),/))[1]!, "--stop")
  expect(halfway.err + second.log).toContain("stopped with the savepoint")
  expect(await second.ended()).toBe(0)

  // Two again, as a bounded run that begins with the savepoint and ends with another, its windows still open.
  await send(servers, "payments-two", Payment, payments(2))
  const moved = ["--source", "payments-four=payments-two", "--source-offsets", "earliest"]
  const bounded = ["--stop-with-savepoint", "--id"]
  const third = start("back", "three", "--from-savepoint", halfway.out.trim(), ...moved, ...bounded, "open")
  expect(await third.ended()).toBe(0)
  expect(third.log).toContain("stopped with the savepoint open")

  // A version that reads the state of the one before by Avro's rules goes on from there, and ends with all windows closed.
  const evolved = ["evolved", "four"] as const
  const reopened = await savepoint("restore", "open", fixture(evolved[0]), ...where(), ...stores(), "--app", evolved[1])
  expect(reopened.out).toMatch(/balances +restored, state balance migrated/)
  expect(reopened.out).toMatch(/counts +restored, state count migrated/)
  await send(servers, "payments-two", Payment, payments(3))
  const fourth = start(...evolved, ...bounded, "end", "--drain")
  expect(await fourth.ended()).toBe(0)
  expect(fourth.log).toContain("stopped with the savepoint end")
  const drained = await savepoint("restore", "end", fixture("evolved"), ...where(), ...stores(), "--app", "five")
  expect(drained.err).toContain("was drained")

  // Everything once, and right.
  const expected = naive(4)
  const balances = await receive(servers, "balances", Balance)
  expect(new Map(balances.map(({ value }) => [Number(value.id), Number(value.cents)]))).toEqual(expected)
  const topic = await auditTopic({ ...servers, topic: "balances" })
  expect(topic).toMatchObject({ records: expected.size, distinct: expected.size, duplicated: 0, disordered: 0 })
  const windows = await auditWindows({ ...servers, sources: "payments,payments-four,payments-two" })
  const { events, late, wrong } = windows
  expect({ events, late, wrong }).toEqual({ events: 4 * PART, late: 0, wrong: [] })
  // The added step began empty: with the second part.
  const counts = await receive(servers, "counts", Balance)
  expect(new Map(counts.map(({ value }) => [Number(value.id), Number(value.cents)]))).toEqual(counted(1, 4))

  // What a job has is thrown away where that is said, or where a restore was interrupted; what is deleted is gone.
  const four = join(directory, "checkpoints/four")
  const files = async (below: string): Promise<readonly string[]> =>
    (await readdir(below, { recursive: true, withFileTypes: true }))
      .filter(file => file.isFile())
      .map(file => relative(below, join(file.parentPath, file.name)))
      .toSorted()
  const anew = (...flags: string[]) =>
    savepoint("restore", "open", fixture("evolved"), ...where(), ...stores(), "--app", "four", ...flags)
  const restoredFiles = [0, 1].map(partition => `payments-two/${partition}/0000000000000000.checkpoint`)
  await Bun.write(join(four, "payments-two/1/0000000000000123.checkpoint"), "of before")
  expect(await anew("--force")).toMatchObject({ code: 0 })
  expect(await files(four)).toEqual([...restoredFiles, "restore/open.done"])
  await Bun.write(join(four, "restore/open.begun"), "{}\n")
  expect(await anew()).toMatchObject({ code: 0 })
  expect(await files(four)).toEqual([...restoredFiles, "restore/open.done"])
  const ofOpen = async () =>
    (await files(join(directory, "savepoints/savepoints"))).filter(name => /^open[./]/.test(name))
  expect((await ofOpen()).length).toBe(3)
  expect(await savepoint("delete", "open", "--savepoints", join(directory, "savepoints"))).toMatchObject({ code: 0 })
  expect(await ofOpen()).toEqual([])
  expect((await anew("--force")).err).toContain("There is no savepoint open")
})
