import { now } from "./clock.ts"
import { Gauges, GENERATOR, METER } from "./gauges.ts"
import type { Tables } from "./measure/tables.ts"
import type { LoadOptions } from "./options.ts"
import type { LoadPhase, LoadSnapshot } from "./snapshot.ts"

/** The state of a run as its threads show it, read from shared memory. */
export class Progress {
  readonly meter = new Gauges(METER)
  readonly generators: readonly Gauges<(typeof GENERATOR)[number]>[]
  phase: LoadPhase = "starting"
  startAt = Number.POSITIVE_INFINITY
  tables: Tables | undefined
  private before = { at: now(), sent: 0, received: 0 }
  private tableRecent = { at: 0, p50: 0, p99: 0 }

  constructor(options: LoadOptions) {
    this.options = options
    this.generators = Array.from({ length: options.threads }, () => new Gauges(GENERATOR))
  }
  private readonly options: LoadOptions

  get sent(): number {
    return this.generators.reduce((sum, gauges) => sum + gauges.get("sent"), 0)
  }

  /** A number that grows as long as anything still comes out. */
  get arrived(): number {
    return (
      this.meter.get("received") +
      this.meter.get("payments") +
      this.meter.get("windows") +
      this.meter.get("alerts") +
      (this.tables?.rows ?? 0)
    )
  }

  /** Called every 250 ms: rates are since the call before. */
  snapshot(): LoadSnapshot {
    const at = now()
    const { sent, meter, options } = this
    const received = meter.get("received")
    const per = (amount: number) => (amount * 1000) / Math.max(1, at - this.before.at)
    const rates = { sentEps: per(sent - this.before.sent), receivedEps: per(received - this.before.received) }
    this.before = { at, sent, received }
    return {
      phase: this.shownPhase(at),
      elapsedMs: Math.max(0, at - this.startAt),
      forMs: options.forMs,
      sent,
      received,
      duplicated: meter.get("duplicated"),
      ...rates,
      windows: meter.get("windows"),
      late: meter.get("late"),
      alerts: meter.get("alerts"),
      behindMs: Math.max(...this.generators.map(gauges => gauges.get("behindMs"))),
      recent: { p50: meter.get("recentP50"), p99: meter.get("recentP99") },
      whole: { p50: meter.get("p50"), p99: meter.get("p99") },
      clickhouse: this.tableSnapshot(at),
      engine: options.engine?.()
    }
  }

  private shownPhase(at: number): LoadPhase {
    if (this.phase !== "running" || at >= this.startAt + this.options.warmupMs) return this.phase
    return at < this.startAt ? "starting" : "warming up"
  }

  private tableSnapshot(at: number): LoadSnapshot["clickhouse"] {
    if (this.tables === undefined) return undefined
    if (at - this.tableRecent.at > 2_000) this.tableRecent = { at, ...this.tables.recent() }
    return { rows: this.tables.rows, p50: this.tableRecent.p50, p99: this.tableRecent.p99 }
  }
}
