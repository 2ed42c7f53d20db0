import type { Measured } from "./figures.ts"

/** Where the measured runs happen. */
export interface Bench {
  readonly bootstrap: string
  readonly registry: string
  readonly brokerPid: number
  readonly partitions: number
  readonly events: number
}

/** One job over the whole topic, measured. */
export interface Job {
  readonly name: string
  readonly run: (bench: Bench, lanes: number, round: number) => Promise<Measured>
}
