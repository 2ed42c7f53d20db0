import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type ClickHouseClient, createClient } from "@clickhouse/client"
import { type ClickHouse, startClickHouse } from "@headrace/dev"
import { now } from "../src/clock.ts"
import { Tables } from "../src/measure/tables.ts"
import { CLOSING_THREAD, firstId } from "../src/scenarios/payments/ids.ts"

const RUN = 7
const FIRST_WINDOW = 1_800_000_000_000

let server: ClickHouse
let client: ClickHouseClient
beforeAll(async () => {
  server = await startClickHouse()
  client = createClient({ url: server.url })
})
afterAll(async () => {
  await client?.close()
  await server?.stop()
})

const create = async () => {
  for (const sql of [
    "CREATE OR REPLACE TABLE scored (id Int64, sentAt Float64, _topic LowCardinality(String), _partition Int32, _offset Int64) ENGINE = MergeTree ORDER BY (_topic, _partition, _offset)",
    "CREATE OR REPLACE TABLE spend (windowStart Int64, payments Int64, spent Int64) ENGINE = MergeTree ORDER BY windowStart"
  ])
    await client.command({ query: sql })
}

/** `count` events of a thread, from a sequence on, at offsets that follow the sequence. */
const insert = (thread: number, from: number, count: number, sentAt: number, run = RUN) =>
  client.command({
    query: `INSERT INTO scored SELECT ${firstId(run, thread) + from} + number, ${sentAt}, 'payments.scored', ${thread}, ${from} + number FROM numbers(${count})`
  })

const open = (latencyFrom = 0) =>
  new Tables({ url: server.url, database: "default" }, { run: RUN, firstWindow: FIRST_WINDOW }, latencyFrom)

const none = { rows: 0, payments: 0, cents: 0 }

describe("the audit of ClickHouse's tables", () => {
  test("waits for tables that are not there yet", async () => {
    const tables = open()
    await tables.poll()
    expect(tables.rows).toBe(0)
    expect(await tables.spend()).toEqual(none)
    await tables.close()
  })

  test("sees each row once as it appears, with its latency", async () => {
    await create()
    const tables = open()
    await insert(0, 0, 1_000, now() - 500)
    await tables.poll()
    expect(tables.rows).toBe(1_000)
    expect(tables.latency.quantiles().p50).toBeGreaterThanOrEqual(495)
    await insert(0, 1_000, 500, now())
    await insert(1, 0, 200, now())
    await tables.poll()
    await tables.poll()
    expect(tables.rows).toBe(1_700)
    expect(tables.latency.count).toBe(1_700)
    await tables.close()
  })

  test("counts what is missing and doubled by thread, and nothing of other runs", async () => {
    await create()
    await insert(0, 0, 990, now())
    await insert(0, 5, 3, now())
    await insert(1, 0, 1_000, now())
    await insert(0, 0, 50, now(), RUN - 1)
    await insert(CLOSING_THREAD, 0, 4, now())
    const tables = open()
    const audit = await tables.audit([1_000, 1_000], none)
    expect(audit).toMatchObject({ rows: 1_993, lost: 10, duplicated: 3 })
    await tables.close()
  })

  test("compares the windows with those of the topic", async () => {
    await create()
    const at = FIRST_WINDOW
    await client.command({
      query: `INSERT INTO spend VALUES (${at}, 2, 50), (${at + 10_000}, 1, 7), (${at - 10_000}, 9, 9)`
    })
    const tables = open()
    const exact = await tables.audit([], { rows: 2, payments: 3, cents: 57 })
    expect(exact.spend).toEqual({ rows: 2, payments: 3, exact: true })
    expect((await tables.audit([], { rows: 2, payments: 3, cents: 58 })).spend?.exact).toBe(false)
    await tables.close()
  })

  test("takes no latency of the warm-up", async () => {
    await create()
    const at = now()
    await insert(0, 0, 10, at - 1_000)
    await insert(0, 10, 10, at)
    const tables = open(at - 100)
    await tables.poll()
    expect([tables.rows, tables.latency.count]).toEqual([20, 10])
    await tables.close()
  })
})
