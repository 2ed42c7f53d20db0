import { ChangeSet, type Merge } from "@headrace/core"
import { Effect, Result, Stream } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { nameOf } from "../lane/tasks.ts"
import { changelogName, exchangeTopics, inputTopics, instancePrefix } from "../names.ts"
import { BlobError, Blobs } from "../ports/blobs.ts"
import { type Admin, Clients } from "../ports/clients.ts"
import { type ChangelogReader, LogError, type TopicPartition } from "../ports/log.ts"
import { type ChangelogHeader, gapError, isGap, readHeader } from "./changelog.ts"
import {
  type Checkpoint,
  checkpointName,
  checkpointPrefix,
  fromNewest,
  inspect,
  reachesBack,
  storeError
} from "./checkpoint.ts"
import { type CheckpointHeader, CheckpointWriter } from "./checkpoint-file.ts"

export interface RoundOptions {
  /** Runs between two short stretches of work. */
  readonly breathe: Effect.Effect<void>
  /** Memory for changes: where there are more, a checkpoint on the way is written. bytes */
  readonly changesBytes: number
  /** Entries of a block of the files. bytes */
  readonly blockBytes: number | undefined
  /** Only changes are written where the full checkpoint before them has at least this size. bytes */
  readonly incrementalBytes: number
  /** Who wrote last is looked for first where this much of a changelog has come at least. offsets */
  readonly lookBeyond: number
}
const DEFAULTS: RoundOptions = {
  breathe: Effect.void,
  changesBytes: 256 << 20,
  blockBytes: undefined,
  incrementalBytes: 1 << 24,
  lookBeyond: 1_000
}
/** Offsets at the end of a changelog, some of which are markers and what was aborted. */
const LOOKED_AT = 16
/** Objects of changes that stand on a full one. */
const MAX_INCREMENTS = 8
/** In a row, after which the store is taken to be away: the round ends, and the next one tries all again. */
const STORE_FAILURES = 3
/** Full checkpoints that are kept at least: of those that stand on one, none is left when it rots. */
const FULL_KEPT = 2

/**
 * Writes a checkpoint of each partition that this instance's lanes wrote to since the last one, without touching
 * the lanes: the newest checkpoint merged with the changelog since, as a stream. Then drops what is older than the
 * retained ones, and trims the changelog up to the oldest that is left (it must stay usable as a fallback), and topics
 * between stages up to where that has read them. Of large state only the changes are written, until they come to half of what they stand on.
 * A partition that fails keeps none of the others from theirs; when all had their turn the round fails with all that failed.
 * It ends at once where the store fails for several in a row.
 */
export const checkpointAll = (
  plan: Plan,
  job: JobConfig,
  options: Partial<RoundOptions> = {}
): Effect.Effect<void, LogError, Clients | Blobs> =>
  Effect.scoped(
    Effect.gen(function* () {
      const clients = yield* Clients
      const admin = yield* clients.admin
      const changelog = yield* clients.changelog
      const sources = yield* admin.partitions(inputTopics(plan, job.app))
      const stages = new Set(exchangeTopics(plan, job.app))
      const round = { ...DEFAULTS, ...options, job, admin, changelog, stages }
      const all = [...sources].flatMap(([topic, count]) =>
        Array.from({ length: count }, (_, partition) => ({ topic, partition }))
      )
      const failed: Failed[] = []
      let storeFailures = 0
      for (const partition of all) {
        const one = yield* Effect.result(checkpointOne(round, partition))
        storeFailures = Result.isFailure(one) && one.failure.cause instanceof BlobError ? storeFailures + 1 : 0
        if (Result.isFailure(one)) failed.push({ partition: nameOf(partition), error: one.failure })
        if (storeFailures >= STORE_FAILURES) break
      }
      if (failed.length > 0) yield* Effect.fail(allOf(failed))
    })
  )

interface Failed {
  readonly partition: string
  readonly error: LogError
}

/** As bad as the worst of them. */
const allOf = (failed: readonly Failed[]): LogError => {
  const worst = failed.find(({ error }) => error.failure === "Stop") ?? failed[0]!
  const each = failed.map(({ partition, error }) => `no checkpoint of ${partition}: ${error.message}`)
  return new LogError(worst.error.failure, each.join("; "), { cause: worst.error })
}

interface Round extends RoundOptions {
  readonly job: JobConfig
  readonly admin: Admin
  readonly changelog: ChangelogReader
  /** The topics between stages. */
  readonly stages: ReadonlySet<string>
}

const checkpointOne = (round: Round, partition: TopicPartition): Effect.Effect<void, LogError, Blobs> =>
  Effect.gen(function* () {
    const { app } = round.job
    const log = { topic: changelogName(app, partition.topic), partition: partition.partition }
    for (;;) {
      // An instance that stood still may have looked for the newest one long ago: others have written and trimmed since.
      const written = yield* fromNewest(app, partition, before => writeNext(round, partition, log, before), {
        reaches: reachesBack(round.changelog, log)
      }).pipe(Effect.retry({ times: 1, while: error => error instanceof LogError && error.failure === "Stop" }))
      if (written === undefined) return
      const oldest = yield* retain(round, partition, written.sound)
      if (oldest !== undefined) yield* round.admin.trim(log, oldest.changelogOffset)
      // What comes before it is committed, and nobody else reads it.
      if (oldest !== undefined && round.stages.has(partition.topic))
        yield* round.admin.trim(partition, oldest.sourceOffset)
      if (written.upToDate) return
    }
  }).pipe(Effect.catchTag("BlobError", (error: BlobError) => Effect.fail(storeError(error, "Retry"))))

interface Written {
  /** The names of checkpoints that are known to be whole: this one, and the one that it was made of. */
  readonly sound: ReadonlySet<string>
  readonly upToDate: boolean
}

/** Writes the checkpoint after `before`; undefined where nothing changed, or another instance has to do it. */
const writeNext = (round: Round, partition: TopicPartition, log: TopicPartition, before: Checkpoint | undefined) =>
  Effect.gen(function* () {
    const { job, changelog } = round
    if (yield* isAnothers(round, log, before?.changelogOffset ?? 0)) return undefined
    const since = yield* readSince(round, changelog, log, before)
    if (since === undefined || !since.writer.startsWith(instancePrefix(job))) return undefined
    const name = checkpointName(job.app, partition, since.end)
    const { topic, partition: number } = partition
    const header = { topic, partition: number, changelogOffset: since.end, sourceOffset: since.sourceOffset }
    const blobs = yield* Blobs
    if (before !== undefined && isIncrement(round, before, since.changes)) {
      // Nothing may stand on what has rotted.
      yield* Stream.runForEach(before.stored, () => round.breathe)
      const over = before.objects.map(one => one.name)
      yield* blobs.put(name, changesOf(round, { ...header, over }, since.changes))
    } else yield* blobs.put(name, bytesOf(round, header, before, since.changes.merging()))
    const sound = new Set(before === undefined ? [name] : [name, before.name])
    return { sound, upToDate: since.upToDate } satisfies Written
  })

/**
 * Whether another instance wrote what stands at the end of a changelog: it is for that one to write the checkpoint. Looked for
 * where much would be read for it; what is not to be seen there is not another's.
 */
const isAnothers = (
  { job, changelog, breathe, lookBeyond }: Round,
  log: TopicPartition,
  from: number
): Effect.Effect<boolean, LogError> =>
  Effect.gen(function* () {
    const end = yield* changelog.stable(log)
    if (end - from <= lookBeyond) return false
    let writer: string | undefined
    const take: Parameters<ChangelogReader["read"]>[2] = (_, bytes, begin, limit) => {
      writer = readHeader(bytes, begin, limit).transactionalIds[0]
      return true
    }
    yield* changelog.read(log, Math.max(from, end - LOOKED_AT), take, breathe)
    return writer?.startsWith(instancePrefix(job)) === false
  })

/** Whether the changes since are written alone. Those on one full checkpoint fit into memory, several times. */
const isIncrement = (
  { incrementalBytes, changesBytes }: RoundOptions,
  { objects: [full, ...increments] }: Checkpoint,
  changes: ChangeSet
): boolean => {
  const bytes = increments.reduce((sum, one) => sum + one.bytes, changes.writtenBytes)
  return (
    full!.bytes >= incrementalBytes &&
    increments.length < MAX_INCREMENTS &&
    bytes <= Math.min(full!.bytes / 2, changesBytes / 4)
  )
}

const changesOf = ({ breathe, blockBytes }: RoundOptions, header: CheckpointHeader, changes: ChangeSet) =>
  Stream.suspend(() => {
    const file = new CheckpointWriter(blockBytes)
    return Stream.make(file.begin(header)).pipe(
      Stream.concat(Stream.fromIterable(file.changes(changes), { chunkSize: 1 })),
      Stream.tap(() => breathe)
    )
  })

/** The bytes of a checkpoint: memory holds a block of the one before and one of this. */
const bytesOf = (
  { breathe, blockBytes }: RoundOptions,
  header: CheckpointHeader,
  before: Checkpoint | undefined,
  merge: Merge
) =>
  Stream.suspend(() => {
    const file = new CheckpointWriter(blockBytes)
    const merged = (before?.blocks ?? Stream.empty).pipe(Stream.map(block => file.addBlock(merge.through(block.bytes))))
    const rest = Stream.suspend(() => Stream.make(file.add(merge.rest()), file.end()))
    return Stream.make([file.begin(header)]).pipe(
      Stream.concat(merged),
      Stream.concat(rest),
      Stream.flatMap(blocks => Stream.fromIterable(blocks, { chunkSize: 1 })),
      Stream.tap(() => breathe)
    )
  })

export interface Since {
  readonly changes: ChangeSet
  readonly sourceOffset: number
  /** The transactional id of the lane that wrote last. */
  readonly writer: string
  readonly end: number
  /** There were no more of them. */
  readonly upToDate: boolean
}

interface ReadLimits extends Pick<RoundOptions, "breathe" | "changesBytes"> {
  /** The changelog before this offset. */
  readonly upTo?: number
}

/** The committed changes since a checkpoint, as many as fit; undefined when there are none. */
export const readSince = (
  { breathe, changesBytes, upTo = Number.POSITIVE_INFINITY }: ReadLimits,
  changelog: ChangelogReader,
  log: TopicPartition,
  before: Checkpoint | undefined
): Effect.Effect<Since | undefined, LogError> =>
  Effect.gen(function* () {
    const changes = new ChangeSet()
    const from = before?.changelogOffset ?? "beginning"
    let last: ChangelogHeader | undefined
    let lost: LogError | undefined
    let upToDate = true
    const take: Parameters<ChangelogReader["read"]>[2] = (offset, bytes, begin, limit) => {
      if (offset >= upTo) return false
      const header = readHeader(bytes, begin, limit)
      const reached = last?.to ?? before?.sourceOffset
      if (isGap(header, reached)) lost ??= gapError(log, offset, header.from, reached)
      last = header
      changes.add(bytes.subarray(header.changes, limit))
      // Never in the middle of a transaction.
      upToDate = changes.byteSize < changesBytes || header.part + 1 < header.parts
      return upToDate
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
    if (last === undefined) return undefined
    const covered = Math.min(end, upTo)
    return { changes, sourceOffset: last.to, writer: last.transactionalIds[0], end: covered, upToDate }
  })

/**
 * Removes what is older than the newest sound checkpoints that are to be kept, and answers with the oldest of those;
 * undefined while there are fewer. They are read for it: one that rotted is nothing to fall back to.
 * What a kept one stands on is kept with it.
 */
const retain = (
  { job, breathe }: Round,
  partition: TopicPartition,
  sound: ReadonlySet<string>
): Effect.Effect<CheckpointHeader | undefined, BlobError, Blobs> =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const newestFirst = (yield* blobs.list(checkpointPrefix(job.app, partition))).toReversed()
    const full = new Set<string>()
    const needed = new Set<string>()
    let kept = 0
    let oldest: CheckpointHeader | undefined
    const enough = () => kept >= job.checkpoint.retained && full.size >= Math.min(FULL_KEPT, job.checkpoint.retained)
    for (const blob of newestFirst) {
      if (enough()) {
        if (!needed.has(blob.name)) yield* blobs.remove(blob.name)
        continue
      }
      const checkpoint = yield* inspect(blob, { whole: !sound.has(blob.name), breathe })
      if (checkpoint === undefined) continue
      kept++
      oldest = checkpoint
      for (const { name } of checkpoint.objects) needed.add(name)
      full.add(checkpoint.objects[0]!.name)
    }
    return enough() ? oldest : undefined
  })
