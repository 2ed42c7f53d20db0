import { ByteWriter } from "@headrace/core"

/** A run of records of one partition: offsets of the first and the last record (gaps of control records inside). */
export interface Range {
  readonly partition: number
  readonly first: number
  readonly last: number
  readonly rows: number
}

/**
 * One insert: the ranges of several partitions, planned together. The plan is committed beside the offset of EACH of
 * its partitions, so whoever gets any of them after a crash can send exactly this block again, with this token.
 */
export interface Plan {
  readonly ranges: readonly Range[]
  /** Kafka timestamp of the first record of the first range: tells a topic made anew from the old one. */
  readonly timestamp: number
}

const FORMAT = "headrace1"

/** `headrace1;1732400000000;0:120+499/500,3:80+10/9`: timestamp; partition:first+(last-first)/rows, in base 36. */
export const planText = ({ ranges, timestamp }: Plan): string =>
  `${FORMAT};${timestamp.toString(36)};${ranges.map(rangeText).join()}`

const rangeText = ({ partition, first, last, rows }: Range): string =>
  `${partition.toString(36)}:${first.toString(36)}+${(last - first).toString(36)}/${rows.toString(36)}`

/** Undefined for metadata that is no plan: of a finished sink, or somebody else's. */
export const parsePlan = (text: string): Plan | undefined => {
  const [format, timestamp, ranges] = text.split(";")
  if (format !== FORMAT || !timestamp || !ranges) return undefined
  const parsed = ranges.split(",").map(parseRange)
  return parsed.some(range => range === undefined)
    ? undefined
    : { timestamp: Number.parseInt(timestamp, 36), ranges: parsed as Range[] }
}

const RANGE = /^([0-9a-z]+):([0-9a-z]+)\+([0-9a-z]+)\/([0-9a-z]+)$/
const parseRange = (text: string): Range | undefined => {
  const numbers = RANGE.exec(text)
    ?.slice(1)
    .map(digits => Number.parseInt(digits, 36))
  if (numbers === undefined) return undefined
  const [partition, first, length, rows] = numbers as [number, number, number, number]
  return { partition, first, last: first + length, rows }
}

/** The same for the same plan, and for no other. */
export const tokenOf = (topic: string, plan: Plan): string => `${topic};${planText(plan)}`

/** Kafka refuses offset metadata beyond 4,096 bytes; a range takes at most about 40. */
export const MAX_RANGES = 90

/** Rows of one partition on their way into the next block. */
export class PartitionRows {
  readonly partition: number
  readonly out = new ByteWriter(0)
  first = -1
  last = -1
  rows = 0
  timestamp = 0
  /** When the first row came in, in ms; set by whoever fills a block. */
  since = 0

  constructor(partition: number) {
    this.partition = partition
  }

  /** After the row was written into `out`. */
  added(offset: number, timestamp: number): void {
    if (this.rows === 0) {
      this.first = offset
      this.timestamp = timestamp
    }
    this.last = offset
    this.rows++
  }

  clear(): void {
    this.out.clear()
    this.rows = 0
  }

  range(): Range {
    return { partition: this.partition, first: this.first, last: this.last, rows: this.rows }
  }
}

export interface Block {
  readonly plan: Plan
  readonly parts: readonly PartitionRows[]
}

/** A block of all given rows, at least one. */
export const blockOf = (parts: readonly PartitionRows[]): Block => ({
  parts,
  plan: { ranges: parts.map(part => part.range()), timestamp: parts[0]!.timestamp }
})

export const rowsOf = (block: Block): number => block.parts.reduce((sum, part) => sum + part.rows, 0)

/** For people: `payments[0] 120..619, payments[3] 80..90`. */
export const describe = (topic: string, plan: Plan): string =>
  plan.ranges.map(({ partition, first, last }) => `${topic}[${partition}] ${first}..${last}`).join(", ")
