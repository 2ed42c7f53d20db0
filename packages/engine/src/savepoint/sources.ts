import { messageOf, partitionOf, Survey } from "@headrace/core"
import { Effect } from "effect"
import type { Plan } from "headrace"
import { sourceTopics } from "../names.ts"
import type { Admin, GroupOffsets } from "../ports/clients.ts"
import { LogError, type Position } from "../ports/log.ts"
import { readEntries } from "./files.ts"
import { type Manifest, partitionsOf } from "./manifest.ts"
import type { Renamed } from "./match.ts"
import { SavepointError } from "./store.ts"

/** How one topic that the pipeline reads goes on from a savepoint: a source, or one between two stages. */
export interface SourceRestore {
  readonly topic: string
  /** The topic that the savepoint has. */
  readonly before: string
  /** Where each partition goes on. */
  readonly positions: readonly Position[]
  /** Where the number of partitions changes: what the savepoint holds, and where keys belong. */
  readonly survey: Survey | undefined
}

export interface SourceOptions {
  readonly renamed: Renamed
  /** Topics are read from their beginning: they hold what comes after the savepoint, and nothing else. */
  readonly fromEarliest: boolean
}

/** Decides where each source topic goes on, and refuses what cannot be right. */
export const restoreSources = (
  manifest: Manifest,
  plan: Plan,
  options: SourceOptions,
  admin: Admin,
  group: GroupOffsets
) =>
  Effect.gen(function* () {
    const topics = sourceTopics(plan)
    const there = yield* admin.partitions(topics)
    const missing = topics.filter(topic => !there.has(topic))
    if (missing.length > 0)
      return yield* Effect.fail(new LogError("Stop", `Topic ${missing.join(", ")} does not exist: create it first`))
    const sources: SourceRestore[] = []
    for (const topic of topics) {
      const before = [...options.renamed].find(([, now]) => now === topic)?.[0] ?? topic
      const size = partitionsOf(manifest, before).length
      // A source that the savepoint does not know begins at its beginning, as that of a new job does.
      if (size > 0)
        sources.push(yield* restoreSource(manifest, { topic, before, size, after: there.get(topic)! }, options, group))
    }
    return sources
  })

interface Change {
  readonly topic: string
  readonly before: string
  /** Partitions in the savepoint. */
  readonly size: number
  /** Partitions of the topic. */
  readonly after: number
}

const restoreSource = (manifest: Manifest, change: Change, { fromEarliest }: SourceOptions, group: GroupOffsets) =>
  Effect.gen(function* () {
    const { topic, before, size, after } = change
    const isSame = topic === before && after >= size
    if (!isSame && !fromEarliest) return yield* new SavepointError({ message: elsewhere(change) })
    const positions: Position[] = []
    for (let partition = 0; partition < after; partition++) {
      const range = yield* group.range({ topic, partition })
      const taken = fromEarliest ? undefined : partitionsOf(manifest, before)[partition]?.sourceOffset
      if (taken !== undefined && taken !== null && (taken < range.start || taken > range.end))
        return yield* new SavepointError({ message: outside(topic, partition, taken, range) })
      positions.push({ topic, partition, offset: taken ?? range.start })
    }
    if (isSame && after === size && !fromEarliest) return { topic, before, positions, survey: undefined }
    for (const position of positions) yield* checkPlaces(group, position, after, change)
    const found = size === after ? undefined : yield* surveyed(manifest, change, new Survey(size, after))
    return { topic, before, positions, survey: found }
  })

const elsewhere = ({ topic, before, size, after }: Change): string =>
  topic === before
    ? `${topic} has ${after} partitions and the savepoint is of ${size}: topics cannot shrink, so it was made anew, and the savepoint's offsets mean nothing in it. ` +
      "If it holds what comes after the savepoint and nothing else, say so: --source-offsets earliest"
    : `The savepoint's offsets are those of ${before} and mean nothing in ${topic}. ` +
      `If ${topic} holds what comes after the savepoint and nothing else, say so: --source-offsets earliest`

const outside = (topic: string, partition: number, taken: number, range: { start: number; end: number }): string =>
  `The savepoint goes on at offset ${taken} of ${topic}/${partition}, but the log has ${range.start} to ${range.end}: ` +
  (taken < range.start
    ? "retention took records that were not processed. Take a newer savepoint"
    : "the topic was made anew. If it holds what comes after the savepoint and nothing else, say so: --source-offsets earliest")

/**
 * What is still to be read has to stand where its key's state goes. Records that were written before a topic grew stand
 * in the partitions of then, and their keys' state would be elsewhere.
 */
const checkPlaces = (group: GroupOffsets, { topic, partition, offset }: Position, after: number, change: Change) =>
  Effect.gen(function* () {
    let stray: number | undefined
    yield* group.keys({ topic, partition, offset }, (at, key) => {
      if (key !== undefined && stray === undefined && partitionOf(key, after) !== partition) stray = at
    })
    if (stray === undefined) return
    const grown = change.topic === change.before && after > change.size
    return yield* new SavepointError({
      message:
        `The record at offset ${stray} of ${topic}/${partition} stands where Kafka's default partitioner would not put it in ${after} partitions: ` +
        (grown
          ? `it was written before the topic grew from ${change.size}, and its key's state goes to another partition. Stop the producers, let the job come to the end, take the savepoint (--stop), and only then let the topic grow`
          : "its key's state would be in another partition. The topic has to be written with that partitioner")
    })
  })

/** Looks at all that the savepoint has of a topic. */
export const surveyed = (
  manifest: Manifest,
  { topic, before, after }: Pick<Change, "topic" | "before" | "after">,
  found: Survey
) =>
  Effect.gen(function* () {
    for (const contents of partitionsOf(manifest, before))
      yield* readEntries(manifest.id, contents, (key, value) => found.take(contents.partition, key, value))
    // Says now what would be wrong later, before anything is written.
    yield* Effect.try({
      try: () => {
        for (let partition = 0; partition < after; partition++) found.ownValues(partition)
      },
      catch: error =>
        new SavepointError({
          message: `The state that the savepoint ${manifest.id} has of ${before} cannot be split into the ${after} partitions of ${topic}: ${messageOf(error)}`
        })
    })
    return found
  })
