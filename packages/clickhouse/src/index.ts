export { countSql } from "./audit.ts"
export { type Column, columnsOf } from "./columns.ts"
export {
  BadRecord,
  ClickHouseError,
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
export { LEDGER, prepareTable, type Table, type TableOptions } from "./tables.ts"
export { type ClickHouseSink, runClickHouseSink, runJobSink } from "./task.ts"
