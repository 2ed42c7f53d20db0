import { Effect } from "effect"
import { allColumns, type Column, quoteName, quoteText } from "./columns.ts"
import { TableMismatch } from "./errors.ts"
import type { CallError, ServerShape } from "./server.ts"

export interface TableOptions {
  /** `ORDER BY` of a table that is made; default `_topic, _partition, _offset`. Of an existing table it stays. */
  readonly orderBy?: string
  /** Adds columns for new nullable fields to an existing table. Default: complain, naming the statement. */
  readonly addColumns?: boolean
  /** See DEDUPLICATION_WINDOW. */
  readonly deduplicationWindow?: number
}

/**
 * How many of the newest blocks of a table ClickHouse remembers by their tokens, over all topics and partitions that
 * go into it. It must outlast a request on its way (a call's time-out, 30 s, and the server's own): at two blocks a
 * second and sink 10,000 are 80 minutes. What comes later still, the ledger stops.
 */
const DEDUPLICATION_WINDOW = 10_000

/** Of finished blocks: the next offset of each partition of each topic, by table. A few rows, merged by the server. */
export const LEDGER = "_headrace_blocks"

/** A table that is ready for rows. */
export interface Table {
  readonly name: string
  /** Quoted, with its database. */
  readonly sql: string
  /** In the ledger; a table that was dropped and made anew is another one. */
  readonly identity: string
}

/**
 * Makes the table and the ledger if they are missing, else checks that the rows fit. Fails with TableMismatch, naming
 * the statement to run. Called once at each start.
 */
export const prepareTable = Effect.fnUntraced(function* (
  server: ServerShape,
  name: string,
  columns: readonly Column[],
  options: TableOptions = {}
): Effect.fn.Return<Table, CallError | TableMismatch> {
  const sql = `${quoteName(server.database)}.${quoteName(name)}`
  yield* server.command(`CREATE DATABASE IF NOT EXISTS ${quoteName(server.database)}`)
  yield* server.command(createLedger(server.database))
  yield* server.command(createTable(sql, columns, options))
  yield* checkColumns(server, name, sql, columns, options)
  return { name, sql, identity: yield* identityOf(server, name, sql) }
})

const createTable = (sql: string, columns: readonly Column[], options: TableOptions): string => {
  const definitions = allColumns(columns).map(([name, type]) => `${quoteName(name)} ${type}`)
  const order = options.orderBy ?? "_topic, _partition, _offset"
  const window = options.deduplicationWindow ?? DEDUPLICATION_WINDOW
  return `CREATE TABLE IF NOT EXISTS ${sql} (${definitions.join(", ")}) ENGINE = MergeTree ORDER BY (${order}) SETTINGS non_replicated_deduplication_window = ${window}`
}

const createLedger = (database: string): string =>
  `CREATE TABLE IF NOT EXISTS ${ledgerOf(database)} (target String, topic String, partition Int32,
   next SimpleAggregateFunction(max, Int64), finished SimpleAggregateFunction(max, DateTime64(3)))
   ENGINE = AggregatingMergeTree ORDER BY (target, topic, partition)`

export const ledgerOf = (database: string): string => `${quoteName(database)}.${LEDGER}`

const checkColumns = Effect.fnUntraced(function* (
  server: ServerShape,
  name: string,
  sql: string,
  columns: readonly Column[],
  options: TableOptions
): Effect.fn.Return<void, CallError | TableMismatch> {
  const existing = yield* server.query(
    `SELECT name, type FROM system.columns WHERE database = ${quoteText(server.database)} AND table = ${quoteText(name)}`
  )
  const types = new Map(existing.map(row => [String(row.name), String(row.type)]))
  for (const [column, type] of allColumns(columns)) {
    const found = types.get(column)
    if (found === undefined) yield* missing(server, sql, column, type, options)
    else if (!fits(found, type)) return yield* mismatch(differs(sql, column, found, type))
  }
})

const missing = (server: ServerShape, sql: string, column: string, type: string, options: TableOptions) => {
  const alter = `ALTER TABLE ${sql} ADD COLUMN ${quoteName(column)} ${type}`
  if (options.addColumns === true && /Nullable\(/.test(type))
    return server.command(alter.replace("COLUMN", "COLUMN IF NOT EXISTS"))
  return mismatch(`${sql} has no column ${column}. Add it: ${alter}`)
}

const differs = (sql: string, column: string, found: string, type: string): string =>
  `${sql} has ${column} as ${found}, but the event schema needs ${type}. Change it (ALTER TABLE ${sql} MODIFY COLUMN ${quoteName(column)} ${type}), or name another table`

const mismatch = (message: string) => Effect.fail(new TableMismatch({ message }))

/** Storage is the user's choice (LowCardinality, time zone, finer clock), but what can be absent must be Nullable. */
const fits = (found: string, wanted: string): boolean =>
  plain(found) === plain(wanted) && (found.includes("Nullable(") || !wanted.includes("Nullable("))

const plain = (type: string): string =>
  type
    .replaceAll(/(LowCardinality|Nullable)\(((?:[^()]|\([^()]*\))*)\)/g, "$2")
    .replaceAll(/(LowCardinality|Nullable)\(((?:[^()]|\([^()]*\))*)\)/g, "$2")
    .replaceAll(/DateTime64\([3-9](, '[^']*')?\)/g, "DateTime64")

const NO_UUID = "00000000-0000-0000-0000-000000000000"

const identityOf = Effect.fnUntraced(function* (
  server: ServerShape,
  name: string,
  sql: string
): Effect.fn.Return<string, CallError | TableMismatch> {
  const [row] = yield* server.query(
    `SELECT toString(uuid) AS uuid, engine, create_table_query AS ddl FROM system.tables WHERE database = ${quoteText(server.database)} AND name = ${quoteText(name)}`
  )
  const window = /non_replicated_deduplication_window = (\d+)/.exec(String(row?.ddl))?.[1]
  const engine = String(row?.engine)
  if (!engine.endsWith("MergeTree"))
    return yield* mismatch(`${sql} is a ${engine}; exactly once needs a table of the MergeTree family`)
  if (!engine.startsWith("Replicated") && !engine.startsWith("Shared") && Number(window ?? 0) === 0)
    return yield* mismatch(
      `${sql} does not remember blocks, so a repeated one would be doubled. Run: ALTER TABLE ${sql} MODIFY SETTING non_replicated_deduplication_window = ${DEDUPLICATION_WINDOW}`
    )
  return row?.uuid === NO_UUID ? sql : String(row?.uuid)
})
