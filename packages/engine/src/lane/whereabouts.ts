import type { TopicPartition } from "../ports/log.ts"
import { nameOf } from "./tasks.ts"

/** What crosses threads of `Whereabouts`. */
export interface SharedWhereabouts {
  /** All of the job, when the process started: the places of the first cells in a lane's line. */
  readonly partitions: readonly TopicPartition[]
  /**
   * For each lane and partition `NOT_HERE`, `MOVES`, or the number of the halt by which it has come to rest. Behind them for
   * each topic the lane's last partition that came later, counted from 1; 0: none.
   */
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
  private readonly names: readonly string[]
  private readonly places: ReadonlyMap<string, number>
  private readonly topics: readonly string[]

  constructor(shared: SharedWhereabouts) {
    this.shared = shared
    this.cells = new Float64Array(shared.cells)
    this.names = shared.partitions.map(nameOf)
    this.places = new Map(this.names.map((name, place) => [name, place]))
    this.topics = topicsOf(shared.partitions)
  }

  /** No lane has any yet. */
  static of(partitions: readonly TopicPartition[], lanes: number): Whereabouts {
    const line = partitions.length + topicsOf(partitions).length
    const cells = new SharedArrayBuffer(line * lanes * Float64Array.BYTES_PER_ELEMENT)
    return new Whereabouts({ partitions, cells })
  }

  /**
   * These are a lane's, and no others; of them `halted` have come to rest by this halt. Called by the lane some times a second,
   * and at each step of a halt.
   */
  say(lane: number, owned: readonly TopicPartition[], halt = MOVES, halted: readonly TopicPartition[] = []): void {
    const line = new Float64Array(this.lineLength)
    for (const one of owned) this.put(line, one, MOVES)
    for (const one of halted) this.put(line, one, halt)
    this.lineOf(lane).set(line)
  }

  /** A lane that failed has nothing. */
  forget(lane: number): void {
    this.lineOf(lane).fill(NOT_HERE)
  }

  /** Those that none of the lanes has, by name. */
  get missing(): readonly string[] {
    return this.names.filter((_, place) => !this.some(place, cell => cell !== NOT_HERE))
  }

  /** Some that the lanes have and that were not there when the process started, the last one of each topic, by name. */
  get later(): readonly string[] {
    const last = (i: number) => Math.max(...this.each(this.names.length + i))
    return this.topics.flatMap((topic, i) => (last(i) > 0 ? [nameOf({ topic, partition: last(i) - 1 })] : []))
  }

  /** Each partition has come to rest by this halt, in one of the lanes. */
  all(halt: number): boolean {
    return this.names.every((_, place) => this.some(place, cell => cell === halt))
  }

  /** Whether that is so of a partition in one of the lanes. */
  private some(place: number, holds: (cell: number) => boolean): boolean {
    return this.each(place).some(holds)
  }

  /** What each lane says at this place of its line. */
  private each(place: number): readonly number[] {
    const { cells, lineLength } = this
    return Array.from({ length: cells.length / lineLength }, (_, lane) => cells[lane * lineLength + place]!)
  }

  private put(line: Float64Array, one: TopicPartition, said: number): void {
    const place = this.places.get(nameOf(one))
    if (place !== undefined) line[place] = said
    else {
      const last = this.names.length + this.topics.indexOf(one.topic)
      line[last] = Math.max(line[last]!, one.partition + 1)
    }
  }

  private lineOf(lane: number): Float64Array {
    const { cells, lineLength } = this
    return cells.subarray(lane * lineLength, (lane + 1) * lineLength)
  }

  private get lineLength(): number {
    return this.names.length + this.topics.length
  }
}

const topicsOf = (partitions: readonly TopicPartition[]): readonly string[] => [
  ...new Set(partitions.map(({ topic }) => topic))
]
