import type { TopicPartition } from "../ports/log.ts"
import { nameOf } from "./tasks.ts"

/** What crosses threads of `HaltedPartitions`. */
export interface SharedHalted {
  /** `topic/partition`, all of the job: the places of the cells in a lane's line. */
  readonly names: readonly string[]
  /** The number of a halt for each lane and partition; 0: not at rest. */
  readonly cells: SharedArrayBuffer
}

/**
 * Which partitions have come to rest, and by which halt, in memory that the lanes of a process share: each writes a line of
 * its own. A lane that its group has expelled may not know it yet, and says of a partition what the one says that has it now.
 * So partitions are looked for, and not added up over lanes.
 */
export class HaltedPartitions {
  readonly shared: SharedHalted
  private readonly cells: Float64Array
  private readonly places: ReadonlyMap<string, number>

  constructor(shared: SharedHalted) {
    this.shared = shared
    this.cells = new Float64Array(shared.cells)
    this.places = new Map(shared.names.map((name, place) => [name, place]))
  }

  /** None has come to rest. */
  static of(partitions: readonly TopicPartition[], lanes: number): HaltedPartitions {
    const cells = new SharedArrayBuffer(partitions.length * lanes * Float64Array.BYTES_PER_ELEMENT)
    return new HaltedPartitions({ names: partitions.map(nameOf), cells })
  }

  /** These of a lane are at rest by this halt, and no others. Called by the lane at each step of a halt. */
  say(lane: number, halt: number, partitions: readonly TopicPartition[]): void {
    const places = partitions.map(one => this.placeOf(nameOf(one)))
    const line = this.lineOf(lane)
    line.fill(0)
    for (const place of places) line[place] = halt
  }

  /** A lane that failed has nothing. */
  forget(lane: number): void {
    this.lineOf(lane).fill(0)
  }

  /** Each partition has come to rest by this halt, in one of the lanes. */
  all(halt: number): boolean {
    const { size } = this.places
    for (let place = 0; place < size; place++) {
      let at = place
      while (at < this.cells.length && this.cells[at] !== halt) at += size
      if (at >= this.cells.length) return false
    }
    return true
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
