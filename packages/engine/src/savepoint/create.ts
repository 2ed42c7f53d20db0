import { ChangeSet, type Entry, entriesIn, messageOf } from "@headrace/core"
import { Effect, Schedule, Stream } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { changelogName, exchangeTopics, inputTopics, of, upstreamTopics } from "../names.ts"
import { type BlobError, Blobs } from "../ports/blobs.ts"
import { Clients } from "../ports/clients.ts"
import { type ChangelogReader, LogError, type TopicPartition } from "../ports/log.ts"
import { type Checkpoint, fromNewest, reachesBack } from "../recovery/checkpoint.ts"
import { readSince } from "../recovery/checkpointing.ts"
import { Contents } from "./contents.ts"
import { type Cut, NO_CUT, takeCut } from "./cut.ts"
import { writeEntries } from "./files.ts"
import type { Manifest, PartitionContents } from "./manifest.ts"
import { refuseHalfRestored } from "./progress.ts"
import {
  beginSavepoint,
  claimId,
  clearAbandoned,
  inSavepoints,
  putManifest,
  type SavepointBlobs,
  SavepointError,
  savepointFile
} from "./store.ts"

export interface NewSavepoint {
  readonly id: string
  /** The plan's digest. */
  readonly digest: string
  /** The version of Headrace. */
  readonly headrace: string
  readonly createdAt: string
  readonly drained: boolean
}

/** Has the job rest while it is looked at for where everything stands: what is written is of that moment. */
export type Rests = <A, E extends LogError | SavepointError, R>(
  look: Effect.Effect<A, E, R>
) => Effect.Effect<A, E | SavepointError, R>

/**
 * Writes a savepoint of a job, whether it runs or not, from what is committed: of each partition the newest checkpoint
 * and the changelog behind it. State and source offset of a partition are of one transaction, and partitions know nothing
 * of each other: so each may be of its own moment, and together they are a state that the job could have been in. Between
 * stages they do: those of a pipeline with several are all of one moment, at which nothing was on its way (`takeCut`).
 */
export const createSavepoint = (
  plan: Plan,
  job: JobConfig,
  savepoint: NewSavepoint,
  breathe: Effect.Effect<void> = Effect.void,
  rests: Rests = effect => effect
): Effect.Effect<Manifest, LogError | BlobError | SavepointError, Clients | Blobs | SavepointBlobs> =>
  Effect.scoped(
    Effect.gen(function* () {
      yield* claimId(savepoint.id)
      yield* refuseHalfRestored(job.app)
      yield* clearAbandoned(job.app)
      const changelog = yield* (yield* Clients).changelog
      const topics = inputTopics(plan, job.app)
      const counts = yield* countsOf(topics, job.app)
      const partitions: PartitionContents[] = []
      const contents = topics.map(topic => new Contents(topic))
      const staged = exchangeTopics(plan, job.app).length > 0
      const cut = staged ? yield* rests(takeCut(plan, job)) : NO_CUT
      yield* beginSavepoint(savepoint.id, job.app)
      for (const [i, topic] of topics.entries()) {
        for (let partition = 0; partition < (counts.get(topic) ?? 0); partition++) {
          const written = yield* writePartition({ job, changelog, cut, breathe }, savepoint.id, { topic, partition })
          if (savepoint.drained && !written.contents.ended) return yield* undrained(job.app, topic, partition)
          partitions.push(written.partition)
          yield* added(contents[i]!, written.contents)
          yield* Effect.logInfo(`savepoint ${savepoint.id}: ${topic}/${partition} of ${counts.get(topic)}`)
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
        operators,
        stages: of(plan, "exchange").map(node => ({ id: node.id, upstream: upstreamTopics(plan, job.app, node) }))
      }
      yield* putManifest(manifest)
      return { format: 1, ...manifest }
    })
  )

/** How many partitions each topic has. The job has run before: it has changelogs. */
const countsOf = (topics: readonly string[], app: string) =>
  Effect.gen(function* () {
    const admin = yield* (yield* Clients).admin
    const changelogs = topics.map(topic => changelogName(app, topic))
    const there = yield* admin.partitions(changelogs)
    const missing = changelogs.find(name => !there.has(name))
    if (missing === undefined) return yield* admin.partitions(topics)
    const message = `${app} has never run: its changelog ${missing} does not exist. Check --app`
    return yield* Effect.fail(new LogError("Stop", message))
  })

const undrained = (app: string, topic: string, partition: number) =>
  new SavepointError({
    message: `Event time of ${topic}/${partition} has not come to its end, so ${app} was not drained: start it and drain it again`
  })

/** Of one topic there is one savepoint: an operator is of one schema in all of its partitions. */
const added = (all: Contents, one: Contents) =>
  Effect.try({ try: () => all.add(one), catch: error => new SavepointError({ message: messageOf(error) }) })

interface Tools {
  readonly job: JobConfig
  readonly cut: Cut
  readonly changelog: ChangelogReader
  readonly breathe: Effect.Effect<void>
}

/** A round of checkpoints may trim the changelog while it is read. */
const AGAIN = Schedule.recurs(3)

const writePartition = ({ job, changelog, cut, breathe }: Tools, id: string, partition: TopicPartition) => {
  const upTo = cut(partition)
  const log = { topic: changelogName(job.app, partition.topic), partition: partition.partition }
  const write = (before: Checkpoint | undefined) =>
    Effect.gen(function* () {
      const limits = { breathe, changesBytes: Number.POSITIVE_INFINITY, upTo }
      const since = yield* readSince(limits, changelog, log, before)
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
        Stream.map(block => counted(entriesIn(merge.through(block.bytes)))),
        Stream.concat(Stream.suspend(() => Stream.make(counted(merge.rest()))))
      )
      const name = savepointFile(id, partition)
      const bytes = yield* inSavepoints(
        writeEntries(name, { ...partition, changelogOffset, sourceOffset }, runs, breathe)
      )
      return { contents, partition: { ...partition, sourceOffset, entries: contents.entries, bytes } }
    })
  return fromNewest(job.app, partition, write, { upTo, reaches: reachesBack(changelog, log) }).pipe(
    Effect.retry({ schedule: AGAIN, while: error => error instanceof LogError })
  )
}
