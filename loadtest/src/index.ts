export { auditIndependently, type IndependentAudit, type IndependentOptions } from "./audit/independent.ts"
export { LoadError } from "./error.ts"
export type { Burst } from "./generator/schedule.ts"
export {
  type ClickHouseAccess,
  defaults,
  type KafkaAccess,
  type LoadOptions,
  paymentsModule,
  type RegistryAccess,
  workerPath
} from "./options.ts"
export { type EngineFigures, type LoadReport, type Quantiles, type Summary, summarise } from "./report.ts"
export { runLoad } from "./run.ts"
export { AccountEvent, ScoredEvent, Spend } from "./scenarios/payments/schemas.ts"
export { TABLES, TOPICS } from "./scenarios/payments/topics.ts"
export type { EngineSnapshot, LoadPhase, LoadSnapshot } from "./snapshot.ts"
export { renderSummary } from "./table.ts"
export { colouredFor } from "./text.ts"
export { ensureTopics } from "./topics.ts"
export { type LoadView, renderLine, renderView, type Terminal, terminalView } from "./view.ts"
