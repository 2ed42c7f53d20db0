import type { TopicPartition } from "../ports/log.ts"
import { nameOf } from "./tasks.ts"

/** What crosses threads of `Whereabouts`. */
export interface SharedWhereabouts {
  /** `topic/partition`, all of the job: the places of the cells in a lane's line. */
  readonly names: readonly string[]
  /** For each lane and partition `NOT_HERE`, `MOVES`, or the number of the halt by which it has come to rest. */
  readonly cells: SharedArrayBuffer
}

const NOT_HERE = 0
const MOVES = -1

/**
 * Which partitions of the job the lanes of a process have, and which of these have come to rest, in memory that they share:
 * each writes a line of its own. A lane that its group has expelled may not know it yet, and says of a partition what the one
 * says that has it now. So partitions are looked for, and not added up over lanes.
 */
export class Whereabouts {
  readonly shared: SharedWhereabouts
  private readonly cells: Float64Array
  private readonly places: ReadonlyMap<string, number>

  constructor(shared: SharedWhereabouts) {
    this.shared = shared
    this.cells = new Float64Array(shared.cells)
    this.places = new Map(shared.names.map((name, place) => [name, place]))
  }

  /** No lane has any yet. */
  static of(partitions: readonly TopicPartition[], lanes: number): Whereabouts {
    const cells = new SharedArrayBuffer(partitions.length * lanes * Float64Array.BYTES_PER_ELEMENT)
    return new Whereabouts({ names: partitions.map(nameOf), cells })
  }

  /**
   * These are a lane's, and no others; of them `halted` have come to rest by this halt. Called by the lane some times a second,
   * and at each step of a halt.
   */
  say(lane: number, owned: readonly TopicPartition[], halt = MOVES, halted: readonly TopicPartition[] = []): void {
    const line = new Float64Array(this.places.size)
    for (const one of owned) line[this.placeOf(nameOf(one))] = MOVES
    for (const one of halted) line[this.placeOf(nameOf(one))] = halt
    this.lineOf(lane).set(line)
  }

  /** A lane that failed has nothing. */
  forget(lane: number): void {
    this.lineOf(lane).fill(NOT_HERE)
  }

  /** Those that none of the lanes has, by name. */
  get missing(): readonly string[] {
    return this.shared.names.filter((_, place) => !this.some(place, cell => cell !== NOT_HERE))
  }

  /** Each partition has come to rest by this halt, in one of the lanes. */
  all(halt: number): boolean {
    return this.shared.names.every((_, place) => this.some(place, cell => cell === halt))
  }

  /** Whether that is so of a partition in one of the lanes. */
  private some(place: number, holds: (cell: number) => boolean): boolean {
    for (let at = place; at < this.cells.length; at += this.places.size) if (holds(this.cells[at]!)) return true
    return false
  }

  private lineOf(lane: number): Float64Array {
    const { size } = this.places
    return this.cells.subarray(lane * size, (lane + 1) * size)
  }

  private placeOf(name: string): number {
    const place = this.places.get(name)
    if (place !== undefined) return place
    throw new Error(`${name} came after this process had started, which waits for what it knew then: start it again`)
  }
}
