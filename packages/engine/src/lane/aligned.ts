import type { Plan } from "headrace"
import { of } from "../names.ts"
import type { TopicPartition } from "../ports/log.ts"

/** Where a source has no idle time-out: a partition without records for as long is not waited for. */
const IDLE_MS = 5_000

/** A partition that waits for the others of its group, and they for it. */
export interface AlignedPartition extends TopicPartition {
  /** The place of its group in `alignmentGroups`. */
  readonly group: number
  /** How far ahead of the others it may be, in event time. */
  readonly maxDriftMs: number
  /** Without records for as long, in processing time, it is not waited for. */
  readonly idleMs: number
}

/** The alignment groups of a pipeline: their numbers are places in it. */
const alignmentGroups = (plan: Plan): readonly string[] => [
  ...new Set(of(plan, "source").flatMap(({ alignment }) => (alignment === undefined ? [] : [alignment.group])))
]

/** All of a job: their numbers are places in it. `counts`: how many partitions each topic has. */
export const alignedPartitions = (plan: Plan, counts: ReadonlyMap<string, number>): readonly AlignedPartition[] => {
  const groups = alignmentGroups(plan)
  return of(plan, "source").flatMap(({ topic, alignment, idleTimeoutMs = IDLE_MS }) =>
    alignment === undefined
      ? []
      : Array.from({ length: counts.get(topic)! }, (_, partition) => ({
          topic,
          partition,
          group: groups.indexOf(alignment.group),
          maxDriftMs: alignment.maxDriftMs,
          idleMs: idleTimeoutMs
        }))
  )
}

/** Earlier versions say the first only, and read nothing of what says both: to them it is not to be waited for. */
const BESIDE = /^watermark=(\S+?)(?: read=(\d+))?$/

/**
 * What stands beside a committed offset: how far the partition has come in event time, and to where records have been read. An
 * offset that moves while that does not has passed what is none.
 */
export const besideOffset = (watermark: number, readTo: number): string => `watermark=${watermark} read=${readTo}`

/** Undefined where it says something else, or nothing: whoever committed it does not align. */
export const watermarkBeside = (metadata: string): number | undefined => {
  const watermark = Number(BESIDE.exec(metadata)?.[1] ?? Number.NaN)
  return Number.isNaN(watermark) ? undefined : watermark
}

/** To where records have been read; the offset, where that is not said. */
export const readBeside = ({ offset, metadata }: { readonly offset: number; readonly metadata: string }): number =>
  Number(BESIDE.exec(metadata)?.[2] ?? offset)
