import { quoteName } from "./columns.ts"

/** What `auditSql` answers, one row a partition. */
export interface PartitionAudit {
  readonly topic: string
  readonly partition: number
  readonly rows: number
  /** Rows whose position is in the table more than once: 0, or exactly once was broken. */
  readonly duplicated: number
  readonly first: number
  readonly last: number
}

const tableSql = (database: string, table: string): string => `${quoteName(database)}.${quoteName(table)}`

/**
 * Proves that nothing is doubled, partition by partition, and says what is there, to be compared with the topic: its
 * committed records from `first` to `last` must number `rows` (offsets have gaps: transaction markers take some).
 */
export const auditSql = (database: string, table: string): string =>
  `SELECT toString(_topic) AS topic, _partition AS partition, toUInt32(count()) AS rows,
   toUInt32(count() - uniqExact(_offset)) AS duplicated, toFloat64(min(_offset)) AS first, toFloat64(max(_offset)) AS last
   FROM ${tableSql(database, table)} GROUP BY _topic, _partition ORDER BY _topic, _partition`

/** One row for the whole table: `rows`, `distinct`. They are equal, or rows are doubled. */
export const countSql = (database: string, table: string): string =>
  `SELECT toUInt32(count()) AS rows, toUInt32(uniqExact((_topic, _partition, _offset))) AS distinct FROM ${tableSql(database, table)}`

/** The positions that are there more than once, at most 100: empty. */
export const doubledSql = (database: string, table: string): string =>
  `SELECT toString(_topic) AS topic, _partition AS partition, _offset AS offset, count() AS copies
   FROM ${tableSql(database, table)} GROUP BY _topic, _partition, _offset HAVING copies > 1 LIMIT 100`
