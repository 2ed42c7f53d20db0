/** A pipeline of several stages: records cross to the partitions of another key, and two topics come together. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Delays, Sale, Shipment, Shipped, Sold, Turnover } from "../fixtures/sales.ts"
import { Headrace, headrace, poll } from "../support/headrace.ts"
import { auditTopic, ensureIndependentClient } from "../support/independent.ts"
import { createTopic, receive, type Servers, send } from "../support/records.ts"

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string

beforeAll(async () => {
  await ensureIndependentClient()
  directory = await mkdtemp(join(tmpdir(), "headrace-stages-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
  await createTopic(servers, "sales", 3)
  await createTopic(servers, "shipments", 2)
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

const SALES = 3000
const ACCOUNTS = 20
/** Not long ago: the broker's retention goes by the time of a record, and that of a window's result is its end. */
const BEGIN = Math.floor(Date.now() / 60_000) * 60_000 - 7_200_000
/** Out of order by less than the bound: nothing is late, in whichever order partitions are read. */
const saleAt = (id: number) => BEGIN + id * 20 + ((id * 31) % 10) * 150
const sale = (id: number) => ({
  key: `order-${id}`,
  id,
  order: `order-${id}`,
  account: `account-${(id * 7) % ACCOUNTS}`,
  cents: (id * 13) % 997,
  at: saleAt(id)
})
const tookMs = (id: number) => ((id * 17) % 80) * 1000
/** Of every third sale nothing is shipped. */
const isShipped = (id: number) => id % 3 !== 0
const shipment = (id: number) => ({
  key: `parcel-${id}`,
  parcel: `parcel-${id}`,
  order: `order-${id}`,
  at: saleAt(id) + tookMs(id)
})

const sales = Array.from({ length: SALES }, (_, id) => sale(id))
const shipments = sales
  .filter(({ id }) => isShipped(id))
  .map(({ id }) => shipment(id))
  .toSorted((a, b) => a.at - b.at)
/** Far behind all others, one for each partition: event time goes on past every window. */
const closing = <A extends { readonly key: string }>(partitions: number, of: (partition: number) => A) =>
  Array.from({ length: partitions }, (_, partition) => ({ partition, ...of(partition) }))
const END = BEGIN + 3_600_000

/** The windows of records by account, as `account/start → [sum, count]`. */
const windowed = (records: readonly { account: string; at: number; value: number }[], sizeMs: number) => {
  const found = new Map<string, readonly number[]>()
  for (const { account, at, value } of records) {
    const name = `${account}/${Math.floor(at / sizeMs) * sizeMs}`
    const [sum = 0, count = 0] = found.get(name) ?? []
    found.set(name, [sum + value, count + 1])
  }
  return found
}
const expectedSold = windowed(
  sales.map(({ account, at, cents }) => ({ account, at, value: cents })),
  10_000
)
/** Each ten seconds count in two windows over all accounts. */
const expectedTurnover = new Map<string, readonly number[]>()
for (const { at, cents } of sales)
  for (const start of [0, 10_000].map(back => Math.floor(at / 10_000) * 10_000 - back)) {
    const [sum = 0, count = 0] = expectedTurnover.get(`undefined/${start}`) ?? []
    expectedTurnover.set(`undefined/${start}`, [sum + cents, count + 1])
  }
const pairs = sales.filter(({ id }) => isShipped(id) && tookMs(id) <= 60_000)
const expectedDelays = windowed(
  pairs.map(({ id, account, at }) => ({ account, at: at + tookMs(id), value: tookMs(id) })),
  60_000
)

const before = (rows: readonly Record<string, unknown>[]) => rows.filter(row => Number(row.windowStart) < END - 600_000)
const found = (rows: readonly Record<string, unknown>[], sum: string, count: string) =>
  new Map<string, readonly unknown[]>(
    before(rows).map(row => [`${row.key}/${row.windowStart}`, [row[sum], row[count]].map(Number)])
  )

const values = async (topic: string, schema: Parameters<typeof receive>[2]) =>
  (await receive(servers, topic, schema)).map(({ value }) => value)

const start = (instance: string) =>
  new Headrace(join(import.meta.dir, "../fixtures/sales.ts"), {
    clusters: { kafka: servers.bootstrap, registry: servers.registry },
    checkpoints: join(directory, "checkpoints"),
    instance,
    flags: [
      ...["--app", "sales", "--lanes", "2", "--checkpoint-interval", "1 second"],
      ...["--savepoints", join(directory, "savepoints")]
    ]
  })

test("by another field, and two topics joined: each window and each pair once, through kill -9 of either process", async () => {
  const [first, second] = [start("first"), start("second")]
  await Promise.all([first.reaches("headrace_partitions", 1), second.reaches("headrace_partitions", 1)])
  const half = SALES / 2
  await Promise.all([
    send(servers, "sales", Sale, sales.slice(0, half)),
    send(servers, "shipments", Shipment, shipments.slice(0, half / 2))
  ])
  await first.reaches("headrace_records_out_total", 100)
  await first.kill()
  await Promise.all([
    send(servers, "sales", Sale, sales.slice(half)),
    send(servers, "shipments", Shipment, shipments.slice(half / 2))
  ])
  await second.reaches("headrace_records_out_total", 1000)
  await second.kill()
  const last = start("first")
  await send(
    servers,
    "sales",
    Sale,
    closing(3, partition => ({
      ...sale(0),
      id: SALES + partition,
      key: `end-${partition}`,
      order: `end-${partition}`,
      at: END
    }))
  )
  await send(
    servers,
    "shipments",
    Shipment,
    closing(2, partition => ({ key: `end-${partition}`, parcel: `end-${partition}`, order: "no order", at: END }))
  )
  // Each comes by a way of its own.
  const due = [
    ["sales.sold", Sold, expectedSold.size],
    ["sales.turnover", Turnover, expectedTurnover.size],
    ["sales.delays", Delays, expectedDelays.size]
  ] as const
  for (const [topic, schema, windows] of due)
    await poll(
      async () => before(await values(topic, schema)).length >= windows,
      () => `${windows} windows in ${topic}; log:\n${last.log}`
    )
  await poll(
    async () => (await values("sales.shipped", Shipped)).length >= pairs.length,
    () => `${pairs.length} pairs; log:\n${last.log}`
  )
  const sold = await values("sales.sold", Sold)
  expect(found(sold, "cents", "sales")).toEqual(expectedSold)
  expect(before(sold)).toHaveLength(expectedSold.size)
  const turnover = await values("sales.turnover", Turnover)
  expect(found(turnover, "cents", "sales")).toEqual(expectedTurnover)
  expect(before(turnover)).toHaveLength(expectedTurnover.size)
  const delays = await values("sales.delays", Delays)
  expect(found(delays, "tookMs", "parcels")).toEqual(expectedDelays)
  expect(before(delays)).toHaveLength(expectedDelays.size)
  const shipped = await values("sales.shipped", Shipped)
  expect(shipped.map(({ id }) => Number(id)).toSorted((a, b) => a - b)).toEqual(pairs.map(({ id }) => id))
  expect(await values("sales.late", Sale)).toEqual([])
  for (const topic of ["sales.sold", "sales.delays", "sales.shipped"]) {
    const audit = await auditTopic({ bootstrap: servers.bootstrap, registry: servers.registry, topic })
    expect(audit).toMatchObject({ duplicated: 0, unreadable: 0 })
  }

  // The end of event time goes from stage to stage: what was still open comes out, and only then do the lanes stop.
  const drained = await headrace("savepoint", "create", "--url", last.url!, "--stop", "--drain", "--id", "drained")
  expect(drained).toMatchObject({ code: 0, out: "drained\n" })
  expect(await last.ended()).toBe(0)
  const open = (await values("sales.sold", Sold)).filter(row => Number(row.windowStart) >= END - 600_000)
  expect(open).toMatchObject([{ key: "account-0", windowStart: Math.floor(END / 10_000) * 10_000, sales: 3 }])
})
