import { NO_WATERMARK } from "@headrace/core"
import type { TopicPartition } from "../ports/log.ts"
import type { AlignedPartition } from "./aligned.ts"

/**
 * What a lane said, or was said of other processes, holds for so long, in ms: one that has died, or stands still, does not hold
 * up the others.
 */
export const HEARD_MS = 5_000
const NOBODY = 0

/** When it was last said what partitions have come to that no lane here has. */
const TOLD_AT = 0
const LINES_AT = 1
/** Of a lane in a group. */
const WATERMARK = 0
const SAID_AT = 1
const LINE = 2
/**
 * Of a partition: the lane that has it, counted from 1, what it has come to where none here has it, where its log ends, and where
 * it stands if its lane holds it back.
 */
const OWNER = 0
const REACHED = 1
const END = 2
const HELD = 3
const PLACE = 4
/** The log's end was not looked for, or could not be found; the partition is not held back. */
const UNKNOWN = -1

/**
 * How far partitions have come that wait for each other, in memory that the lanes of a process share: each lane has a line in
 * each alignment group, and each partition a place, for what is known of it while no lane here has it. Each writes its own
 * and reads those of the others, at any time and without a message.
 */
export class GroupClocks {
  private readonly cells: Float64Array
  private readonly partitions: readonly AlignedPartition[]
  private readonly lane: number
  private readonly groups: number
  private readonly lanes: number
  /** By group: the numbers of its partitions. */
  private readonly members: readonly (readonly number[])[]
  /** By topic: the number of its first partition, behind which the others stand. */
  private readonly firsts = new Map<string, number>()

  /**
   * `lane`: undefined for who tells what partitions have come to that no lane here has. `buffer`: from `bufferOf`, the same for
   * all lanes. Without one the lane is by itself.
   */
  constructor(
    partitions: readonly AlignedPartition[],
    lane = -1,
    buffer: SharedArrayBuffer = GroupClocks.bufferOf(partitions, lane + 1)
  ) {
    this.cells = new Float64Array(buffer)
    this.partitions = partitions
    this.lane = lane
    this.groups = groupsOf(partitions)
    this.lanes = partitions.length === 0 ? 0 : (this.placeOf(0) - LINES_AT) / (this.groups * LINE)
    this.members = Array.from({ length: this.groups }, (_, group) =>
      [...partitions.keys()].filter(number => partitions[number]!.group === group)
    )
    for (const [number, { topic, partition }] of partitions.entries())
      if (partition === 0) this.firsts.set(topic, number)
    this.forsake()
  }

  /** Nobody has said anything since 1970, and no partition has come to anything. */
  static bufferOf(partitions: readonly AlignedPartition[], lanes: number): SharedArrayBuffer {
    const places = LINES_AT + groupsOf(partitions) * lanes * LINE
    const cells = new Float64Array(
      new SharedArrayBuffer((places + partitions.length * PLACE) * Float64Array.BYTES_PER_ELEMENT)
    )
    for (let at = places; at < cells.length; at += PLACE) {
      cells[at + REACHED] = NO_WATERMARK
      cells[at + END] = UNKNOWN
      cells[at + HELD] = UNKNOWN
    }
    return cells.buffer as SharedArrayBuffer
  }

  /** Of a partition that is aligned. */
  numberOf({ topic, partition }: TopicPartition): number {
    return this.firsts.get(topic)! + partition
  }

  // ── a lane ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** This lane's least watermark in a group; Infinity if it has nothing to wait for. `now`: of the clock that all share. */
  say(group: number, watermark: number, now: number): void {
    const at = this.lineOf(this.lane, group)
    this.cells[at + WATERMARK] = watermark
    this.cells[at + SAID_AT] = now
  }

  /** What was said last still holds. */
  repeat(now: number): void {
    for (let group = 0; group < this.groups; group++) {
      const at = this.lineOf(this.lane, group) + SAID_AT
      if (this.cells[at]! > 0) this.cells[at] = now
    }
  }

  /** The lane has the partition of this number: what it has come to is part of what the lane says. */
  take(number: number): void {
    const at = this.placeOf(number)
    this.cells[at + OWNER] = this.lane + 1
    this.cells[at + HELD] = UNKNOWN
  }

  /** Where the lane's partition of this number stands while it is held back; undefined: it is not. */
  hold(number: number, position: number = UNKNOWN): void {
    const at = this.placeOf(number)
    if (this.cells[at + OWNER] === this.lane + 1) this.cells[at + HELD] = position
  }

  /** It has it no more: until somebody knows better the partition stands where it stood. */
  leave(number: number, watermark: number): void {
    const at = this.placeOf(number)
    if (this.cells[at + OWNER] !== this.lane + 1) return
    this.cells[at + REACHED] = watermark
    this.cells[at + OWNER] = NOBODY
  }

  /** The least of the others that is to be waited for: other lanes here, and partitions that none here has. Infinity: none is. */
  others(group: number, now: number): number {
    const { cells } = this
    let least = Number.POSITIVE_INFINITY
    for (let lane = 0; lane < this.lanes; lane++) {
      const at = this.lineOf(lane, group)
      if (lane !== this.lane && isHeard(cells[at + SAID_AT]!, now)) least = Math.min(least, cells[at + WATERMARK]!)
    }
    if (!isHeard(cells[TOLD_AT]!, now)) return least
    for (const number of this.members[group]!)
      if (!this.isHere(number, now)) least = Math.min(least, cells[this.placeOf(number) + REACHED]!)
    return least
  }

  /** Where the log of a partition ends, to who reads committed; undefined where that was not looked for, or is old. */
  endOf(number: number, now: number): number | undefined {
    const end = this.cells[this.placeOf(number) + END]!
    return end === UNKNOWN || !isHeard(this.cells[TOLD_AT]!, now) ? undefined : end
  }

  // ── who looks on behalf of all lanes here ──────────────────────────────────────────────────────────────────────

  /** A lane of this process has it, and lives. */
  isHere(number: number, now: number): boolean {
    const lane = this.cells[this.placeOf(number) + OWNER]! - 1
    return lane >= 0 && isHeard(this.cells[this.lineOf(lane, this.partitions[number]!.group) + SAID_AT]!, now)
  }

  /** Where a partition stands that a lane here holds back; undefined if none does. */
  heldAt(number: number, now: number): number | undefined {
    const position = this.cells[this.placeOf(number) + HELD]!
    return position === UNKNOWN || !this.isHere(number, now) ? undefined : position
  }

  /** What a partition has come to that no lane here has; Infinity if it is not to be waited for. */
  tell(number: number, watermark: number): void {
    this.cells[this.placeOf(number) + REACHED] = watermark
  }

  /** Where the log of a partition ends, whoever has it; undefined: not looked for. */
  tellEnd(number: number, end: number = UNKNOWN): void {
    this.cells[this.placeOf(number) + END] = end
  }

  /** That holds for all of them, as of `now`. */
  told(now: number): void {
    this.cells[TOLD_AT] = now
  }

  /** A lane that starts has nothing, whatever one of its number had before. */
  private forsake(): void {
    for (const number of this.partitions.keys()) {
      const at = this.placeOf(number) + OWNER
      if (this.cells[at] === this.lane + 1) this.cells[at] = NOBODY
    }
  }

  private lineOf(lane: number, group: number): number {
    return LINES_AT + (lane * this.groups + group) * LINE
  }

  private placeOf(number: number): number {
    return this.cells.length - (this.partitions.length - number) * PLACE
  }
}

/** A clock that was set back makes what was said before old, too. */
const isHeard = (saidAt: number, now: number): boolean => Math.abs(now - saidAt) <= HEARD_MS

const groupsOf = (partitions: readonly AlignedPartition[]): number =>
  partitions.reduce((most, { group }) => Math.max(most, group + 1), 0)
