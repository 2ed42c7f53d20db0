import { ChangeSet } from "@headrace/core"
import { Effect } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { changelogName, instancePrefix, sourceTopics } from "../names.ts"
import { type BlobError, Blobs } from "../ports/blobs.ts"
import { type Admin, Clients } from "../ports/clients.ts"
import { type ChangelogReader, LogError, type TopicPartition } from "../ports/log.ts"
import { type ChangelogHeader, gapError, isGap, readHeader } from "./changelog.ts"
import {
  type Checkpoint,
  CheckpointWriter,
  checkpointName,
  checkpointPrefix,
  decodeCheckpoint,
  newestCheckpoint
} from "./checkpoint.ts"

/**
 * Writes a full checkpoint of each partition that this instance's lanes wrote to since the last one, without touching
 * the lanes: the newest checkpoint merged with the changelog since. Then drops what is older than the retained ones,
 * and trims the changelog up to the oldest that is left (it must stay usable as a fallback). `breathe` runs between two
 * short stretches of work.
 */
export const checkpointAll = (
  plan: Plan,
  job: JobConfig,
  breathe: Effect.Effect<void> = Effect.void
): Effect.Effect<void, LogError, Clients | Blobs> =>
  Effect.scoped(
    Effect.gen(function* () {
      const clients = yield* Clients
      const admin = yield* clients.admin
      const changelog = yield* clients.changelog
      const sources = yield* admin.partitions(sourceTopics(plan))
      for (const [topic, partitions] of sources) {
        for (let partition = 0; partition < partitions; partition++) {
          yield* checkpointOne({ job, admin, changelog, breathe }, { topic, partition })
        }
      }
    })
  )

/** Between two breaths: some milliseconds of work. */
const ENTRIES_AT_ONCE = 8192

interface Tools {
  readonly job: JobConfig
  readonly admin: Admin
  readonly changelog: ChangelogReader
  readonly breathe: Effect.Effect<void>
}

const checkpointOne = (
  { job, admin, changelog, breathe }: Tools,
  partition: TopicPartition
): Effect.Effect<void, LogError, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const log = { topic: changelogName(job.app, partition.topic), partition: partition.partition }
    const before = yield* newestCheckpoint(job.app, partition)
    const since = yield* readSince(changelog, log, before, breathe)
    if (since === undefined || !since.writer.startsWith(instancePrefix(job))) return
    const at = { changelogOffset: since.end, sourceOffset: since.sourceOffset }
    const file = new CheckpointWriter()
    for (const [key, value] of since.changes.merge(before?.entries() ?? [])) {
      file.add(key, value)
      if (file.entries % ENTRIES_AT_ONCE === 0) yield* breathe
    }
    const bytes = file.finish(partition, at)
    yield* blobs.put(checkpointName(job.app, partition, since.end), bytes)
    const oldest = yield* retain(job, partition)
    if (oldest !== undefined) yield* admin.trim(log, oldest)
  }).pipe(
    Effect.catchTag("BlobError", (error: BlobError) =>
      Effect.fail(new LogError("Retry", error.message, { cause: error }))
    )
  )

interface Since {
  readonly changes: ChangeSet
  readonly sourceOffset: number
  /** The transactional id of the lane that wrote last. */
  readonly writer: string
  readonly end: number
}

/** The committed changes since a checkpoint; undefined when there are none. */
const readSince = (
  changelog: ChangelogReader,
  log: TopicPartition,
  before: Checkpoint | undefined,
  breathe: Effect.Effect<void>
): Effect.Effect<Since | undefined, LogError> =>
  Effect.gen(function* () {
    const changes = new ChangeSet()
    const from = before?.changelogOffset ?? "beginning"
    let last: ChangelogHeader | undefined
    let lost: LogError | undefined
    const take: Parameters<ChangelogReader["read"]>[2] = (offset, bytes, begin, limit) => {
      const header = readHeader(bytes, begin, limit)
      const reached = last?.to ?? before?.sourceOffset
      if (isGap(header, reached)) lost ??= gapError(log, offset, header.from, reached)
      last = header
      changes.add(bytes.subarray(header.changes, limit))
    }
    const { start, end } = yield* changelog.read(log, from, take, breathe)
    if (start > (from === "beginning" ? 0 : from)) {
      return yield* Effect.fail(
        new LogError(
          "Stop",
          `The changelog ${log.topic}/${log.partition} begins at ${start}, after the newest usable checkpoint (${from}): no checkpoint can be made of it.`
        )
      )
    }
    if (lost !== undefined) return yield* Effect.fail(lost)
    return last === undefined ? undefined : { changes, sourceOffset: last.to, writer: last.transactionalIds[0], end }
  })

/** Removes all but the newest checkpoints, and answers with the changelog offset of the oldest that is kept. */
const retain = (job: JobConfig, partition: TopicPartition): Effect.Effect<number | undefined, BlobError, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const names = yield* blobs.list(checkpointPrefix(job.app, partition))
    const kept = names.slice(-job.checkpoint.retained)
    for (const name of names.slice(0, names.length - kept.length)) yield* blobs.remove(name)
    const oldest = kept[0]
    if (oldest === undefined || kept.length < job.checkpoint.retained) return undefined
    const bytes = yield* blobs.get(oldest)
    return yield* Effect.try({ try: () => decodeCheckpoint(bytes).changelogOffset, catch: () => undefined }).pipe(
      Effect.orElseSucceed(() => undefined)
    )
  })
