import { totalsOf, WindowSum, type WindowTotals } from "./measure/checksum.ts"
import type { GeneratorResult } from "./messages.ts"
import type { AlertName } from "./scenarios/payments/due.ts"

/** What all generator threads together sent: what has to come out. */
export interface Expectation {
  readonly sent: number
  /** By thread. */
  readonly sentBy: readonly number[]
  readonly unacknowledged: number
  readonly late: number
  readonly windows: WindowTotals
  /** Scripts that were planted, and the alerts that are due for them. */
  readonly scripts: number
  readonly alerts: readonly AlertName[]
  readonly maxAt: number
  readonly behindMs: number
  readonly queueFull: number
}

export const expectationOf = (results: readonly GeneratorResult[]): Expectation => ({
  sent: sum(results, r => r.sent),
  sentBy: results.map(r => r.sent),
  unacknowledged: sum(results, r => r.unacknowledged),
  late: sum(results, r => r.late),
  windows: totalsOf(results.reduce((total, r) => total.plus(r.windows), new WindowSum())),
  scripts: sum(results, r => r.scripts),
  alerts: results.flatMap(r => r.alerts),
  maxAt: Math.max(0, ...results.map(r => r.maxAt)),
  behindMs: Math.max(0, ...results.map(r => r.behindMaxMs)),
  queueFull: sum(results, r => r.queueFull)
})

const sum = (results: readonly GeneratorResult[], of: (result: GeneratorResult) => number): number =>
  results.reduce((total, result) => total + of(result), 0)
