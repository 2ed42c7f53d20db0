import { messageOf, Rebuild, type StateDefinition } from "@headrace/core"
import { Effect, Stream } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { changelogName, exchangeName, exchangeTopics, groupName, inputTopics, sourceTopics } from "../names.ts"
import { Blobs } from "../ports/blobs.ts"
import { type Admin, Clients, type GroupOffsets } from "../ports/clients.ts"
import { LogError, type Position } from "../ports/log.ts"
import { checkpointName, checkpointPrefix, checkpointsOf } from "../recovery/checkpoint.ts"
import { changelogTopic, internalTopic } from "../recovery/topics.ts"
import { readEntries, writeEntries } from "./files.ts"
import { type Manifest, partitionsOf } from "./manifest.ts"
import { differencesOf, leftBehind, type Match, matchOperators, showDifferences, withStages } from "./match.ts"
import { beginRestore, endRestore, restoreBegun } from "./progress.ts"
import { remaining } from "./session.ts"
import { restoreSources, type SourceOptions, type SourceRestore } from "./sources.ts"
import { restoreStages } from "./stages.ts"
import { readSavepoint, SavepointError } from "./store.ts"
import { restoreTables, type TableRestore } from "./tables.ts"

export interface RestoreSavepoint extends SourceOptions {
  readonly id: string
  /** State that the pipeline does not have any more is left behind. */
  readonly allowNonRestored: boolean
  /** What the job has is thrown away. */
  readonly force: boolean
}

/** What a restore came to. */
export interface RestoreReport {
  readonly manifest: Manifest
  readonly match: Match
  readonly sources: readonly SourceRestore[]
  /** Tables that the saved job has filled under another name. */
  readonly tables: readonly TableRestore[]
}

/**
 * Gives a job that does not run the state of a savepoint: new changelogs, new topics between its stages, a first checkpoint
 * of each partition and the group's offsets. Everything is checked before anything is written. From the first write to the last one a marker stands
 * in the checkpoint store with which no lane starts: a restore that was interrupted is run again, and does all of it anew.
 */
export const restoreSavepoint = (plan: Plan, job: JobConfig, options: RestoreSavepoint) =>
  Effect.scoped(
    Effect.gen(function* () {
      const clients = yield* Clients
      const admin = yield* clients.admin
      const group = yield* clients.offsets(groupName(job))
      const manifest = yield* readSavepoint(options.id)
      const renamed = withStages(manifest, plan, job.app, options.renamed)
      const match = yield* matched(manifest, plan, job, { ...options, renamed })
      yield* idle(admin, job)
      yield* unused(plan, job, admin, group, options)
      const sources = yield* restoreSources(manifest, plan, options, admin, group)
      const most = Math.max(...(yield* admin.partitions(sourceTopics(plan))).values())
      const stages = yield* restoreStages(manifest, plan, job.app, renamed, sources, most)
      const logs = [...sources, ...stages]
      for (const log of logs) yield* verified(manifest, match, log)
      yield* beginRestore(job.app, manifest.id)
      yield* emptied(plan, job, manifest, stages, admin)
      for (const log of logs) yield* writeState(job, manifest, match, log)
      yield* group.commit(logs.flatMap(log => log.positions))
      const tables = yield* restoreTables(plan, job, manifest, admin)
      yield* endRestore(job.app, manifest.id)
      return { manifest, match, sources: logs, tables } satisfies RestoreReport
    })
  )

const matched = (manifest: Manifest, plan: Plan, job: JobConfig, options: RestoreSavepoint) =>
  Effect.gen(function* () {
    const refuse = (message: string) => new SavepointError({ message })
    if (manifest.drained)
      return yield* refuse(
        `The savepoint ${manifest.id} was drained: event time is at its end, all windows have been closed for good, and every record would be late. Restore one that was taken without --drain`
      )
    if (manifest.stages === undefined && stagesOf(manifest).length > 0)
      return yield* refuse(
        `The savepoint ${manifest.id} was taken by a version of Headrace that did not see to what was on its way between the stages of ${manifest.pipeline}, which would be lost: take another one`
      )
    const unknown = [...options.renamed.keys()].filter(topic => partitionsOf(manifest, topic).length === 0)
    if (unknown.length > 0)
      return yield* refuse(`--source ${unknown.join(", ")}: the savepoint has ${topicsOf(manifest).join(", ")}`)
    const match = matchOperators(manifest, plan, job.app, options.renamed)
    const differences = differencesOf(match)
    if (differences.length > 0)
      return yield* refuse(
        `The savepoint ${manifest.id} does not fit the pipeline ${plan.name}:\n${showDifferences(differences)}`
      )
    const left = leftBehind(match)
    if (left.length > 0 && !options.allowNonRestored)
      return yield* refuse(
        `The pipeline ${plan.name} has no place for state of the savepoint ${manifest.id}:\n${left.map(one => `  ${one}\n`).join("")}` +
          `It has ${ownIds(match)}. Put the steps back under their ids, or leave this state behind: --allow-non-restored-state`
      )
    return match
  })

/** The topics between the stages of the job that was saved. */
const stagesOf = (manifest: Manifest): readonly string[] =>
  topicsOf(manifest).filter(topic => topic.startsWith(exchangeName(manifest.app, "")))

const topicsOf = (manifest: Manifest): readonly string[] => [...new Set(manifest.partitions.map(({ topic }) => topic))]

const ownIds = ({ operators, added }: Match): string =>
  [...operators.flatMap(({ own }) => (own === undefined ? [] : [own.id])), ...added].join(", ")

/** Where it is not known who is there, the broker refuses the offsets later, as long as somebody is. */
const idle = (admin: Admin, job: JobConfig) =>
  Effect.gen(function* () {
    const members = yield* remaining(admin, groupName(job), job)
    if (members.length === 0) return
    return yield* Effect.fail(
      new LogError(
        "Retry",
        `${job.app} is running (${members.map(({ name }) => name).join(", ")}), or was until less than its session time-out ago: stop it first, or restore under another name (--app)`
      )
    )
  })

/** What a job has is not overwritten by accident; what an interrupted restore has left is no state of a job. */
const unused = (plan: Plan, job: JobConfig, admin: Admin, group: GroupOffsets, { force }: RestoreSavepoint) =>
  Effect.gen(function* () {
    if (force || (yield* restoreBegun(job.app)) !== undefined) return
    const blobs = yield* Blobs
    const topics = inputTopics(plan, job.app)
    const sources = yield* admin.partitions(topics)
    const changelogs = topics.map(topic => changelogName(job.app, topic))
    const there = [...(yield* admin.partitions(changelogs)).keys()]
    const found: string[] = there.map(topic => `the topic ${topic}`)
    for (const [topic, count] of sources) {
      const partitions = Array.from({ length: count }, (_, partition) => ({ topic, partition }))
      const committed = yield* group.committed(partitions)
      if (committed.some(offset => offset !== undefined))
        found.push(`offsets of ${topic} in the group ${groupName(job)}`)
      for (const partition of partitions)
        if ((yield* blobs.list(checkpointPrefix(job.app, partition))).length > 0)
          found.push(`checkpoints of ${topic}/${partition.partition}`)
    }
    if (found.length === 0) return
    return yield* new SavepointError({
      message: `${job.app} has state of its own: ${found.join(", ")}. Restore under another name (--app), or throw that state away: --force`
    })
  })

/** The job has no state any more, and nothing is on its way in it: new topics of its own, no checkpoints. */
const emptied = (plan: Plan, job: JobConfig, manifest: Manifest, stages: readonly SourceRestore[], admin: Admin) =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const sources = yield* admin.partitions(sourceTopics(plan))
    const between = stages.map(({ topic, positions }) => [topic, positions.length] as const)
    // Also those of stages that the pipeline does not have any more.
    const gone = manifest.app === job.app ? stagesOf(manifest) : []
    const topics = [...new Set([...sourceTopics(plan), ...exchangeTopics(plan, job.app), ...gone])]
    const internal = topics.filter(topic => !sources.has(topic))
    yield* admin.remove([...internal, ...topics.map(topic => changelogName(job.app, topic))])
    yield* admin.create([
      ...between.map(([topic, partitions]) => internalTopic(job, topic, partitions)),
      ...[...sources, ...between].map(([topic, partitions]) => changelogTopic(job, topic, partitions))
    ])
    for (const topic of topics)
      for (const { name } of yield* blobs.list(checkpointsOf(job.app, topic))) yield* blobs.remove(name)
  })

/** The state of each partition of a log, made of the savepoint's. Memory holds one at a time. */
const rebuilt = <A, E, R>(
  manifest: Manifest,
  match: Match,
  { before, survey, positions }: SourceRestore,
  use: (position: Position, rebuild: Rebuild) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    const operators = match.operators.filter(({ contents }) => contents.topic === before)
    const definitions = new Map(
      operators.flatMap(({ contents, own }): [string, StateDefinition][] =>
        own === undefined ? [] : [[contents.id, own]]
      )
    )
    const contents = partitionsOf(manifest, before)
    for (const position of positions) {
      const rebuild = new Rebuild(definitions, position.partition, survey)
      for (const parent of rebuild.parents)
        if (contents[parent] !== undefined)
          yield* readEntries(manifest.id, contents[parent], (key, value) => rebuild.take(parent, key, value))
      yield* use(position, rebuild)
    }
  })

/** All that is going to be written can be made of the savepoint: what there is goes only then. */
const verified = (manifest: Manifest, match: Match, log: SourceRestore) =>
  rebuilt(manifest, match, log, ({ topic, partition }, rebuild) =>
    Effect.try({
      try: () => {
        for (const _ of rebuild.entries());
      },
      catch: error =>
        new SavepointError({
          message: `The state of ${topic}/${partition} cannot be made of the savepoint ${manifest.id}: ${messageOf(error)}`
        })
    }).pipe(Effect.andThen(Effect.logInfo(`checked ${topic}/${partition} of ${log.positions.length}`)))
  )

const writeState = (job: JobConfig, manifest: Manifest, match: Match, log: SourceRestore) =>
  rebuilt(manifest, match, log, (position, rebuild) =>
    Effect.andThen(
      writeFirst(job, position, rebuild),
      Effect.logInfo(`restored ${position.topic}/${position.partition} of ${log.positions.length}`)
    )
  )

/** The checkpoint that a new changelog goes on from. */
const writeFirst = (job: JobConfig, position: Position, rebuild: Rebuild) =>
  writeEntries(
    checkpointName(job.app, position, 0),
    { topic: position.topic, partition: position.partition, changelogOffset: 0, sourceOffset: position.offset },
    Stream.suspend(() => Stream.make(rebuild.entries()))
  )
