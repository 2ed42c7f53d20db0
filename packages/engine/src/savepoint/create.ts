import { ChangeSet, type Entry } from "@headrace/core"
import { Effect, Schedule, Stream } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { changelogName, exchangeTopics, inputTopics } from "../names.ts"
import { type BlobError, Blobs } from "../ports/blobs.ts"
import { Clients } from "../ports/clients.ts"
import { type ChangelogReader, LogError, type TopicPartition } from "../ports/log.ts"
import { fromNewest } from "../recovery/checkpoint.ts"
import { readSince } from "../recovery/checkpointing.ts"
import { Contents } from "./contents.ts"
import { writeEntries } from "./files.ts"
import type { Manifest, PartitionContents } from "./manifest.ts"
import { refuseHalfRestored } from "./progress.ts"
import { claimId, inSavepoints, putManifest, type SavepointBlobs, type SavepointError, savepointFile } from "./store.ts"

export interface NewSavepoint {
  readonly id: string
  /** The plan's digest. */
  readonly digest: string
  /** The version of Headrace. */
  readonly headrace: string
  readonly createdAt: string
  readonly drained: boolean
}

/**
 * Writes a savepoint of a job, whether it runs or not, from what is committed: of each partition the newest checkpoint
 * and the changelog behind it. State and source offset of a partition are of one transaction, and partitions know nothing
 * of each other: so each may be of its own moment, and together they are a state that the job could have been in.
 */
export const createSavepoint = (
  plan: Plan,
  job: JobConfig,
  savepoint: NewSavepoint,
  breathe: Effect.Effect<void> = Effect.void
): Effect.Effect<Manifest, LogError | BlobError | SavepointError, Clients | Blobs | SavepointBlobs> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* claimId(savepoint.id)
      yield* refuseHalfRestored(job.app)
      const clients = yield* Clients
      const admin = yield* clients.admin
      const changelog = yield* clients.changelog
      const topics = inputTopics(plan, job.app)
      const stages = exchangeTopics(plan, job.app)
      if (stages.length > 0)
        yield* Effect.logWarning(
          `what is on its way in ${stages.join(", ")} is not in the savepoint ${savepoint.id}: it can be looked at, but not restored`
        )
      const sources = yield* admin.partitions(topics)
      const changelogs = yield* admin.partitions(topics.map(topic => changelogName(job.app, topic)))
      const partitions: PartitionContents[] = []
      const contents = topics.map(topic => new Contents(topic))
      for (const [i, topic] of topics.entries()) {
        if (!changelogs.has(changelogName(job.app, topic)))
          return yield* Effect.fail(
            new LogError(
              "Stop",
              `${job.app} has never run: its changelog ${changelogName(job.app, topic)} does not exist. Check --app`
            )
          )
        for (let partition = 0; partition < (sources.get(topic) ?? 0); partition++) {
          const written = yield* writePartition({ job, changelog, breathe }, savepoint.id, { topic, partition })
          partitions.push(written.partition)
          contents[i]!.add(written.contents)
          yield* Effect.logInfo(`savepoint ${savepoint.id}: ${topic}/${partition} of ${sources.get(topic)}`)
        }
      }
      const { id, digest, headrace, createdAt, drained } = savepoint
      const operators = contents.flatMap(one => one.all())
      const manifest = {
        id,
        app: job.app,
        pipeline: plan.name,
        digest,
        headrace,
        createdAt,
        drained,
        partitions,
        operators
      }
      yield* putManifest(manifest)
      return { format: 1, ...manifest }
    })
  )

interface Tools {
  readonly job: JobConfig
  readonly changelog: ChangelogReader
  readonly breathe: Effect.Effect<void>
}

/** A round of checkpoints may trim the changelog while it is read. */
const AGAIN = Schedule.recurs(3)

const writePartition = ({ job, changelog, breathe }: Tools, id: string, partition: TopicPartition) =>
  fromNewest(job.app, partition, before =>
    Effect.gen(function* () {
      const log = { topic: changelogName(job.app, partition.topic), partition: partition.partition }
      const since = yield* readSince({ breathe, changesBytes: Number.POSITIVE_INFINITY }, changelog, log, before)
      const contents = new Contents(partition.topic)
      const sourceOffset = since?.sourceOffset ?? before?.sourceOffset
      if (sourceOffset === undefined)
        return { contents, partition: { ...partition, sourceOffset: null, entries: 0, bytes: 0 } }
      const changelogOffset = since?.end ?? before?.changelogOffset ?? 0
      const merge = (since?.changes ?? new ChangeSet()).merging()
      const counted = (entries: Iterable<Entry>) => contents.through(entries)
      // They come from the store of checkpoints, while the file goes to the one of savepoints.
      const blobs = yield* Blobs
      const runs = Stream.provideService(before?.blocks ?? Stream.empty, Blobs, blobs).pipe(
        Stream.map(block => counted(merge.through(block))),
        Stream.concat(Stream.suspend(() => Stream.make(counted(merge.rest()))))
      )
      const name = savepointFile(id, partition)
      const bytes = yield* inSavepoints(
        writeEntries(name, { ...partition, changelogOffset, sourceOffset }, runs, breathe)
      )
      return { contents, partition: { ...partition, sourceOffset, entries: contents.entries, bytes } }
    })
  ).pipe(Effect.retry({ schedule: AGAIN, while: error => error instanceof LogError }))
