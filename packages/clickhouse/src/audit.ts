import { quoteName } from "./columns.ts"

/** One row for a whole table: `rows`, `distinct` positions. They are equal, or rows are doubled. */
export const countSql = (database: string, table: string): string =>
  `SELECT toUInt32(count()) AS rows, toUInt32(uniqExact((_topic, _partition, _offset))) AS distinct FROM ${quoteName(database)}.${quoteName(table)}`
