/** What a lane said holds for so long, in ms: one that has died, or stands still, does not hold up the others. */
const HEARD_MS = 5_000
const WATERMARK = 0
const SAID_AT = 1
const STRIDE = 2

/**
 * How far each lane of a process has come in each alignment group, in memory that the lanes share: each writes its own line and
 * reads those of the others, at any time and without a message.
 */
export class GroupClocks {
  private readonly cells: Float64Array
  private readonly groups: number
  private readonly lane: number

  /** `buffer`: from `bufferOf`, the same for all lanes. Without one the lane is by itself. */
  constructor(groups: number, lane = 0, buffer: SharedArrayBuffer = GroupClocks.bufferOf(groups, lane + 1)) {
    this.cells = new Float64Array(buffer)
    this.groups = groups
    this.lane = lane
  }

  /** Zeros: nobody has said anything since 1970. */
  static bufferOf(groups: number, lanes: number): SharedArrayBuffer {
    return new SharedArrayBuffer(groups * lanes * STRIDE * Float64Array.BYTES_PER_ELEMENT)
  }

  /** This lane's least watermark in a group; Infinity if it has nothing to wait for. `now`: of the clock that all lanes share. */
  say(group: number, watermark: number, now: number): void {
    const at = this.at(this.lane, group)
    this.cells[at + WATERMARK] = watermark
    this.cells[at + SAID_AT] = now
  }

  /** What was said last still holds. */
  repeat(now: number): void {
    for (let group = 0; group < this.groups; group++) {
      const at = this.at(this.lane, group) + SAID_AT
      if (this.cells[at]! > 0) this.cells[at] = now
    }
  }

  /** The least of the other lanes that have said something lately; Infinity if there is none. */
  others(group: number, now: number): number {
    const lanes = this.cells.length / (this.groups * STRIDE)
    let least = Number.POSITIVE_INFINITY
    for (let lane = 0; lane < lanes; lane++) {
      const at = this.at(lane, group)
      // A clock that was set back makes what was said before old, too.
      const isHeard = Math.abs(now - this.cells[at + SAID_AT]!) <= HEARD_MS
      if (lane !== this.lane && isHeard) least = Math.min(least, this.cells[at + WATERMARK]!)
    }
    return least
  }

  private at(lane: number, group: number): number {
    return (lane * this.groups + group) * STRIDE
  }
}
