/** The inside of the ClickHouse sink, which its face does not show: the simulator gives it a server and a log. */
export { columnsOf } from "../../clickhouse/src/columns.ts"
export { ClickHouseError, Unavailable } from "../../clickhouse/src/errors.ts"
export { appendWith } from "../../clickhouse/src/intake.ts"
export { patiently } from "../../clickhouse/src/patience.ts"
export { compileRows } from "../../clickhouse/src/rows.ts"
export type { CallError, ServerShape } from "../../clickhouse/src/server.ts"
export { runSink } from "../../clickhouse/src/sink.ts"
export { makeTarget } from "../../clickhouse/src/target.ts"
