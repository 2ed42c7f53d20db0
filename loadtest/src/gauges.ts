/** Named numbers in shared memory: one thread writes them, others read at any time, and no message is sent. */
export class Gauges<Name extends string> {
  readonly buffer: SharedArrayBuffer
  private readonly names: readonly Name[]
  private readonly values: Float64Array

  constructor(names: readonly Name[], buffer = new SharedArrayBuffer(names.length * 8)) {
    this.names = names
    this.buffer = buffer
    this.values = new Float64Array(buffer)
  }

  get(name: Name): number {
    return this.values[this.names.indexOf(name)]!
  }

  /** Called a few hundred times a second. */
  set(values: { readonly [N in Name]: number }): void {
    for (let i = 0; i < this.names.length; i++) this.values[i] = values[this.names[i]!]
  }
}

/** What a generator thread shows. */
export const GENERATOR = ["sent", "behindMs", "behindMaxMs", "queueFull"] as const
/** What the meter thread shows. */
export const METER = [
  "received",
  "duplicated",
  "windows",
  "payments",
  "late",
  "alerts",
  "p50",
  "p99",
  "recentP50",
  "recentP99",
  "lastAt"
] as const
