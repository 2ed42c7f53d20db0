import { type ClickHouseClient, ClickHouseLogLevel, createClient } from "@clickhouse/client"
import { now } from "../clock.ts"
import type { ClickHouseAccess } from "../options.ts"
import type { ClickHouseAudit, Quantiles } from "../report.ts"
import { CLOSING_THREAD, firstId } from "../scenarios/payments/ids.ts"
import { TABLES, TOPICS } from "../scenarios/payments/topics.ts"
import { type Alerts, alertsIn, fromRows } from "./alerts.ts"
import { Latency } from "./latency.ts"

/** What the rows of a run are recognised by. */
export interface TableScope {
  readonly run: number
  readonly firstWindow: number
}

/** Sums over the spend table, to be compared with what Kafka holds. */
export interface SpendTotals {
  readonly rows: number
  readonly payments: number
  readonly cents: number
}

/** Event times of rows are grouped by this many ms: the latency of a group is that of its oldest possible row. */
const GROUP_MS = 5
const UNKNOWN_TABLE = "60"

/**
 * The tables of a run, asked by SQL only. `poll` looks for rows that have become visible since the last time, by the
 * offsets that rows carry: the sink fills each partition in order.
 */
export class Tables {
  readonly latency = new Latency()
  /** Rows of this run that were seen to appear. */
  rows = 0
  private readonly client: ClickHouseClient
  private readonly seen = new Map<number, number>()
  private spendRows: SpendTotals = { rows: 0, payments: 0, cents: 0 }

  constructor(access: ClickHouseAccess, scope: TableScope, latencyFrom: number) {
    this.client = createClient({ ...access, log: { level: ClickHouseLogLevel.OFF } })
    this.scope = scope
    this.latencyFrom = latencyFrom
  }
  private readonly scope: TableScope
  private readonly latencyFrom: number

  /** Finds new rows and takes the time until their query was answered: an upper bound of when they became visible. */
  async poll(): Promise<void> {
    const groups = await this.ask(`
      SELECT _partition AS place, floor(sentAt / ${GROUP_MS}) * ${GROUP_MS} AS sent, count() AS rows, max(_offset) AS last
      FROM ${TABLES.scored} WHERE ${this.ofRun()} AND (${this.unseen()}) GROUP BY place, sent`)
    const answered = now()
    for (const { place, sent, rows, last } of groups) {
      this.rows += Number(rows)
      this.seen.set(Number(place), Math.max(this.seen.get(Number(place)) ?? -1, Number(last)))
      if (Number(sent) >= this.latencyFrom) this.latency.record(answered - Number(sent), Number(rows))
    }
  }

  /** What the spend table holds of this run. */
  async spend(): Promise<SpendTotals> {
    const [totals] = await this.ask(`
      SELECT count() AS rows, sum(payments) AS total, sum(spent) AS cents
      FROM ${TABLES.spend} WHERE windowStart >= ${this.scope.firstWindow}`)
    const { rows = 0, total = 0, cents = 0 } = totals ?? {}
    this.spendRows = { rows: Number(rows), payments: Number(total), cents: Number(cents) }
    return this.spendRows
  }

  /** Counts each event id of the run: `sent` events of each thread should be there once. */
  async audit(sent: readonly number[], expected: SpendTotals): Promise<Omit<ClickHouseAudit, "patterns">> {
    const threads = await this.ask(`
      SELECT intDiv(id - ${firstId(this.scope.run, 0)}, ${firstId(0, 1)}) AS thread, count() AS rows, uniqExact(id) AS ids
      FROM ${TABLES.scored} WHERE ${this.ofRun()} GROUP BY thread`)
    const rows = sumOf(threads, "rows")
    const ids = sumOf(threads, "ids")
    const spend = await this.spend()
    return {
      rows,
      lost: Math.max(0, sent.reduce((sum, count) => sum + count, 0) - ids),
      duplicated: rows - ids,
      latencyMs: this.latency.quantiles(),
      spend: { rows: spend.rows, payments: spend.payments, exact: same(spend, expected) }
    }
  }

  /** What the table of alerts holds of this run. */
  async alerts(): Promise<Alerts> {
    const { run } = this.scope
    const ofRun = `firstId >= ${firstId(run, 0)} AND firstId < ${firstId(run + 1, 0)}`
    return fromRows(await this.ask(alertsIn(TABLES.alerts, ofRun)))
  }

  recent(): Quantiles {
    return this.latency.takeRecent()
  }

  close(): Promise<void> {
    return this.client.close()
  }

  private ofRun(): string {
    // The tables are sorted by topic, partition and offset: naming all three lets a poll skip what it has seen.
    return `_topic = '${TOPICS.scored}' AND id >= ${firstId(this.scope.run, 0)} AND id < ${firstId(this.scope.run, CLOSING_THREAD)}`
  }

  private unseen(): string {
    const known = [...this.seen].map(([partition, offset]) => `(_partition = ${partition} AND _offset > ${offset})`)
    return [...known, `_partition NOT IN (${[-1, ...this.seen.keys()].join(", ")})`].join(" OR ")
  }

  /** Rows of a query; none while the sink has not made the table yet. */
  private async ask(query: string): Promise<readonly Record<string, unknown>[]> {
    try {
      const result = await this.client.query({ query, format: "JSONEachRow" })
      return await result.json<Record<string, unknown>>()
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === UNKNOWN_TABLE) return []
      throw error
    }
  }
}

const same = (a: SpendTotals, b: SpendTotals): boolean =>
  a.rows === b.rows && a.payments === b.payments && a.cents === b.cents

const sumOf = (rows: readonly Record<string, unknown>[], name: string): number =>
  rows.reduce((sum, row) => sum + Number(row[name]), 0)
