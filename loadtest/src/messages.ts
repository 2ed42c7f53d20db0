import type { EventOptions } from "./generator/events.ts"
import type { Burst } from "./generator/schedule.ts"
import type { Alerts } from "./measure/alerts.ts"
import type { AuditScope } from "./measure/audit.ts"
import type { WindowTotals } from "./measure/checksum.ts"
import type { KafkaAccess, RegistryAccess } from "./options.ts"
import type { Quantiles } from "./report.ts"
import type { AlertName } from "./scenarios/payments/due.ts"

/** What a generator thread is started with. */
export interface GeneratorTask {
  readonly role: "generate"
  readonly kafka: KafkaAccess
  readonly registry: RegistryAccess
  readonly run: number
  readonly thread: number
  readonly threads: number
  readonly rate: number
  readonly forMs: number
  readonly burst: Burst | undefined
  readonly accounts: number
  readonly zipf: number
  readonly events: Omit<EventOptions, "eventTimeShiftMs">
  readonly partitions: number
  readonly gauges: SharedArrayBuffer
}

/** What the meter thread is started with. */
export interface MeterTask {
  readonly role: "measure"
  readonly kafka: KafkaAccess
  readonly registry: RegistryAccess
  readonly gauges: SharedArrayBuffer
}

/** What a thread can be asked for: a request and what it answers. Each kind of thread knows some of them. */
export interface Requests {
  /** Meter: the ends of all topics, to read on from, and the last event time in the source topic (0 if none). */
  readonly positions: { readonly ask: { readonly partitions: number }; readonly answer: { readonly lastAt: number } }
  /** Meter: reads and counts from now on. */
  readonly measure: { readonly ask: AuditScope; readonly answer: null }
  /** Meter: the result so far. */
  readonly result: { readonly ask: { readonly sent: readonly number[] }; readonly answer: MeterResult }
  /** Generator: connects, and makes its tables. */
  readonly prepare: { readonly ask: null; readonly answer: null }
  /** Generator: sends the schedule from `startAt` on; answers when all is sent and acknowledged. */
  readonly send: {
    readonly ask: { readonly startAt: number; readonly eventTimeShiftMs: number }
    readonly answer: GeneratorResult
  }
  /** Generator: no new events; `send` answers soon. */
  readonly stop: { readonly ask: null; readonly answer: null }
  /** Generator: a closing event with this event time into each partition. */
  readonly close: { readonly ask: { readonly at: number }; readonly answer: null }
  /** All: gives everything up and ends. */
  readonly end: { readonly ask: null; readonly answer: null }
}

/** What a generator thread did, and what an audit must find. */
export interface GeneratorResult {
  readonly sent: number
  readonly unacknowledged: number
  readonly late: number
  readonly windows: WindowTotals
  /** Scripts that it began, and the alerts that are due for what of them it sent. */
  readonly scripts: number
  readonly alerts: readonly AlertName[]
  readonly maxAt: number
  readonly perPartition: readonly number[]
  readonly behindMaxMs: number
  readonly queueFull: number
}

/** What the meter thread found. */
export interface MeterResult {
  /** Distinct events of each generator thread, and some that are missing. */
  readonly distinct: readonly number[]
  readonly missing: readonly number[]
  readonly duplicated: number
  readonly disordered: number
  readonly windowCount: number
  readonly windowsDuplicated: number
  /** Payments and cents of windows and late events, and of windows alone. */
  readonly windows: WindowTotals
  readonly spent: { readonly payments: number; readonly cents: number }
  readonly late: number
  readonly alerts: Alerts
  readonly lastAt: number
  readonly latency: Quantiles
}

/** A request as it crosses threads. */
export interface Asked {
  readonly number: number
  readonly name: keyof Requests
  readonly body: unknown
}
/** An answer as it crosses threads. */
export interface Answered {
  readonly number: number
  readonly body?: unknown
  readonly error?: string
}
