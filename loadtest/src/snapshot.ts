/** What the pipeline's process shows of itself, for the view only: no audit uses it. */
export interface EngineSnapshot {
  readonly lag: number
  readonly commitsPerSecond: number
  readonly commitMs: { readonly p50: number; readonly p99: number }
  readonly rssMb: number
  /** State in memory, and on disk where that is too little: by operator, the largest first. */
  readonly state?: readonly { readonly operator: string; readonly memoryMb: number; readonly diskMb: number }[]
  /** A restore of state that is under way. */
  readonly restoring?: { readonly doneBytes: number; readonly totalBytes: number; readonly ms: number }
}

export type LoadPhase = "starting" | "warming up" | "running" | "draining" | "auditing" | "done"

/** A running load at one moment. Rates are events/s since the snapshot before. */
export interface LoadSnapshot {
  readonly phase: LoadPhase
  readonly elapsedMs: number
  readonly forMs: number
  readonly sent: number
  readonly received: number
  readonly duplicated: number
  readonly sentEps: number
  readonly receivedEps: number
  readonly windows: number
  readonly late: number
  readonly alerts: number
  readonly behindMs: number
  /** Latency in ms over the last two seconds, and since the warm-up. */
  readonly recent: { readonly p50: number; readonly p99: number }
  readonly whole: { readonly p50: number; readonly p99: number }
  readonly clickhouse: { readonly rows: number; readonly p50: number; readonly p99: number } | undefined
  readonly engine: EngineSnapshot | undefined
}
