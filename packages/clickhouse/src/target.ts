import { Effect } from "effect"
import { type Block, type Plan, tokenOf } from "./block.ts"
import { allColumns, type Column, quoteName, quoteText } from "./columns.ts"
import type { CallError, ServerShape } from "./server.ts"
import { ledgerOf, type Table } from "./tables.ts"

/** Where blocks go: the table, and the ledger of what is finished. */
export interface Target {
  /** Inserts the block unless it is in the table already. May be repeated at any time, by anybody. */
  readonly insert: (block: Block) => Effect.Effect<void, CallError>
  /** Notes a block that is wholly in the table. */
  readonly record: (plan: Plan) => Effect.Effect<void, CallError>
  /** By partition: the offset before which everything is in the table. */
  readonly finished: Effect.Effect<ReadonlyMap<number, number>, CallError>
  /**
   * By partition: the offset behind the last row, looked for from an offset on. Of the given ones only; those without
   * rows from there on are left out. Reads the end of each, where the table is ordered by position as by default.
   */
  readonly held: (from: ReadonlyMap<number, number>) => Effect.Effect<ReadonlyMap<number, number>, CallError>
}

/** Called once at each start: asks the server which settings it knows. */
export const makeTarget = Effect.fnUntraced(function* (
  server: ServerShape,
  table: Table,
  columns: readonly Column[],
  topic: string
): Effect.fn.Return<Target, CallError> {
  const settings = yield* knownSettings(server)
  const structure = quoteText(
    allColumns(columns)
      .map(([name, type]) => `${quoteName(name)} ${type}`)
      .join(", ")
  )
  const done = doneQuery(server.database, table, topic)
  const insertSql = insertStatement(table, columns, done)
  return {
    insert: block =>
      server.insert(
        structure,
        source => insertSql(source, settings, tokenOf(topic, block.plan)),
        block.parts.map(part => part.out.written())
      ),
    record: plan => server.command(recordStatement(server.database, table, topic, plan)),
    finished: Effect.map(
      server.query(
        `SELECT partition, toInt64(max(next)) AS done ${fromLedger(server.database, table, topic)} GROUP BY partition`
      ),
      offsets
    ),
    held: from => Effect.map(server.query(heldQuery(table, topic, from)), offsets)
  }
})

const offsets = (rows: readonly Record<string, unknown>[]): ReadonlyMap<number, number> =>
  new Map(rows.map(row => [Number(row.partition), Number(row.done)]))

/** With the offsets as literals, since the primary key is not searched by anything else. */
const heldQuery = (table: Table, topic: string, from: ReadonlyMap<number, number>): string => {
  const places = [...from].map(([partition, offset]) => `(_partition = ${partition} AND _offset >= ${offset})`)
  return `SELECT _partition AS partition, toInt64(max(_offset)) + 1 AS done FROM ${table.sql} WHERE _topic = ${quoteText(topic)} AND (${places.join(" OR ")}) GROUP BY _partition`
}

/**
 * The server itself leaves out rows that are in the ledger: that stops a request, or a whole process, that wakes up
 * after the deduplication window has moved on. A partition's blocks go in one after the other, so everything below the
 * end of a finished block is in the table.
 */
const insertStatement = (table: Table, columns: readonly Column[], done: string) => {
  const names = allColumns(columns).map(([name]) => quoteName(name))
  return (source: string, settings: string, token: string): string =>
    `INSERT INTO ${table.sql} (${names.join(", ")}) SETTINGS ${settings}, insert_deduplication_token = ${quoteText(token)} SELECT ${names.join(", ")} FROM ${source} WHERE _offset >= (${done})[_partition]`
}

const fromLedger = (database: string, table: Table, topic: string): string =>
  `FROM ${ledgerOf(database)} WHERE target = ${quoteText(table.identity)} AND topic = ${quoteText(topic)}`

/** A map of what is done; a partition that is not in it gives 0. */
const doneQuery = (database: string, table: Table, topic: string): string =>
  `SELECT CAST(groupArray((p, n)), 'Map(Int32, Int64)') FROM (SELECT partition AS p, toInt64(max(next)) AS n ${fromLedger(database, table, topic)} GROUP BY partition)`

const recordStatement = (database: string, table: Table, topic: string, plan: Plan): string => {
  const rows = plan.ranges.map(
    ({ partition, last }) => `(${quoteText(table.identity)}, ${quoteText(topic)}, ${partition}, ${last + 1}, now64(3))`
  )
  return `INSERT INTO ${ledgerOf(database)} (target, topic, partition, next, finished) SETTINGS async_insert = 0 VALUES ${rows.join(", ")}`
}

/** One insert is one block, whatever the server's defaults are; a token counts also behind materialized views. */
const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ["async_insert", "0"],
  ["insert_deduplicate", "1"],
  ["deduplicate_insert_select", "'force_enable'"],
  ["deduplicate_blocks_in_dependent_materialized_views", "1"],
  ["max_insert_threads", "1"],
  ["max_threads", "1"],
  ["max_insert_block_size", "100000000"],
  ["min_insert_block_size_rows", "100000000"],
  ["min_insert_block_size_bytes", "4000000000"],
  ["max_execution_time", "60"]
]

/** Settings come and go between versions, and an unknown one is refused. */
const knownSettings = (server: ServerShape): Effect.Effect<string, CallError> =>
  Effect.map(
    server.query(
      `SELECT name FROM system.settings WHERE name IN (${SETTINGS.map(([name]) => quoteText(name)).join(", ")})`
    ),
    rows => {
      const known = new Set(rows.map(row => row.name))
      return SETTINGS.filter(([name]) => known.has(name))
        .map(([name, value]) => `${name} = ${value}`)
        .join(", ")
    }
  )
