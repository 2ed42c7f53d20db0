export { auditSql, countSql, doubledSql, type PartitionAudit } from "./audit.ts"
export { type Column, columnsOf, sqlType } from "./columns.ts"
export {
  BadRecord,
  ClickHouseError,
  type ClickHouseReason,
  Diverged,
  Eaten,
  LogGone,
  LogStopped,
  NoColumn,
  Refused,
  TableMismatch,
  Unavailable
} from "./errors.ts"
export { connect, Server, type ServerConfig, type ServerShape } from "./server.ts"
export type { SinkOptions } from "./sink.ts"
export { createTable, DEDUPLICATION_WINDOW, LEDGER, prepareTable, type Table, type TableOptions } from "./tables.ts"
export { type ClickHouseSink, runClickHouseSink, runJobSink } from "./task.ts"
