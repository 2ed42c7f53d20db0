import { WindowSum } from "../measure/checksum.ts"

/** What one generator thread has made: what an audit must find again. */
export class Tally {
  /** All payments, late ones included, by account and window. */
  readonly windows = new WindowSum()
  /** Payments planted so far behind that they are late for certain. */
  late = 0
  /** The largest event time of any event. */
  maxAt = 0
  readonly perPartition: Float64Array

  constructor(partitions: number) {
    this.perPartition = new Float64Array(partitions)
  }
}
