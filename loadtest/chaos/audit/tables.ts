import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client"
import { type Alerts, alertsIn, fromRows } from "../../src/measure/alerts.ts"
import { TABLES } from "../job/movement.ts"

const TABLE = TABLES.balances
const LIMIT = 100_000
const UNKNOWN_TABLE = "60"
const POLL_MS = 100

/** What SQL finds: ids that are wrong, of each kind at most LIMIT. */
export interface TableAudit {
  readonly rows: number
  /** Distinct events. */
  readonly ids: number
  readonly missing: readonly number[]
  readonly duplicated: readonly number[]
  readonly disordered: readonly number[]
  /** The state of the account is not the one of the row before it with one event more. */
  readonly wrong: readonly number[]
  readonly alerts: Alerts
}

/** The tables, asked by SQL only, past all proxies. */
export class Tables {
  private readonly client: ClickHouseClient

  constructor(url: string) {
    this.client = createClient({ url, log: { level: ClickHouseLogLevel.OFF }, request_timeout: 120_000 })
  }

  async rows(): Promise<number> {
    return (await this.ask(`SELECT count() AS it FROM ${TABLE}`))[0] ?? 0
  }

  /** When all partitions showed an event with an id of at least `beyond`; undefined when that takes too long. */
  async reached(
    beyond: number,
    partitions: number,
    withinMs: number,
    signal: AbortSignal
  ): Promise<number | undefined> {
    const deadline = performance.now() + withinMs
    const query = `SELECT uniqExact(_partition) AS it FROM ${TABLE} WHERE id >= ${beyond}`
    while (!signal.aborted && performance.now() < deadline) {
      // It may be the server that is away.
      const [found] = await this.ask(query).catch(() => [0])
      if (Number(found) === partitions) return Date.now()
      await new Promise(resolve => setTimeout(resolve, POLL_MS))
    }
    return undefined
  }

  /** `sent` events should be there once, and those of an account in the order in which they were sent. */
  async audit(sent: number): Promise<TableAudit> {
    return {
      rows: await this.rows(),
      ids: (await this.ask(`SELECT uniqExact(id) AS it FROM ${TABLE}`))[0] ?? 0,
      missing: await this.ask(
        `SELECT number AS it FROM numbers(${sent}) WHERE number NOT IN (SELECT toUInt64(id) FROM ${TABLE}) LIMIT ${LIMIT}`
      ),
      duplicated: await this.ask(`SELECT id AS it FROM ${TABLE} GROUP BY id HAVING count() > 1 LIMIT ${LIMIT}`),
      disordered: await this.ask(
        `SELECT it FROM (SELECT arrayJoin(arrayFilter((id, before) -> id < before, ids, arrayPushFront(arrayPopBack(ids), 0))) AS it
         FROM (SELECT account, arrayMap(one -> one.2, arraySort(groupArray((_offset, toInt64(id))))) AS ids FROM ${TABLE} GROUP BY account)) LIMIT ${LIMIT}`
      ),
      wrong: await this.ask(
        `SELECT it FROM (SELECT arrayJoin(arrayFilter((id, movements, before, cents, had) -> movements != before + 1 OR cents <= had,
           ids, counts, arrayPushFront(arrayPopBack(counts), 0), sums, arrayPushFront(arrayPopBack(sums), 0))) AS it
         FROM (SELECT arraySort(groupArray((_offset, toInt64(id), toInt64(movements), toInt64(cents)))) AS rows,
           arrayMap(one -> one.2, rows) AS ids, arrayMap(one -> one.3, rows) AS counts, arrayMap(one -> one.4, rows) AS sums
         FROM ${TABLE} GROUP BY account)) LIMIT ${LIMIT}`
      ),
      alerts: await this.alerts()
    }
  }

  async alerts(): Promise<Alerts> {
    return fromRows(await this.rowsOf(alertsIn(TABLES.alerts)))
  }

  close(): Promise<void> {
    return this.client.close()
  }

  private async ask(query: string): Promise<number[]> {
    return (await this.rowsOf(query)).map(({ it }) => Number(it))
  }

  private async rowsOf(query: string): Promise<readonly Record<string, unknown>[]> {
    try {
      const result = await this.client.query({ query, format: "JSONEachRow" })
      return await result.json<Record<string, unknown>>()
    } catch (error) {
      // The sink makes the table with its first block.
      if (error instanceof Error && "code" in error && error.code === UNKNOWN_TABLE) return []
      throw error
    }
  }
}
