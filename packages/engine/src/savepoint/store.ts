import { messageOf } from "@headrace/core"
import { Context, Effect, Result, Schema, Stream } from "effect"
import { type BlobError, Blobs } from "../ports/blobs.ts"
import type { TopicPartition } from "../ports/log.ts"
import { decodeManifest, encodeManifest, type Manifest } from "./manifest.ts"

/** A savepoint is not there, is there already, is damaged, or does not fit. `message` says what to do. */
export class SavepointError extends Schema.TaggedError<SavepointError>()("SavepointError", {
  message: Schema.String
}) {}

/** Where savepoints are kept: a store of their own, or the one of a job's checkpoints. */
export class SavepointBlobs extends Context.Service<SavepointBlobs, Blobs["Service"]>()(
  "@headrace/engine/SavepointBlobs"
) {}

/*
 * savepoints/<id>.json                        the manifest, written last: without it there is no savepoint
 * savepoints/<id>/<topic>/<partition>.checkpoint
 * savepoints/<id>/<app>.begun                  while it is being written; without a manifest: of one that never ended
 * savepoints/<id>/<app>.cleared                while that is being removed
 */
const ROOT = "savepoints/"
const MANIFEST = ".json"
const BEGUN = ".begun"
const CLEARED = ".cleared"
const FILE = ".checkpoint"
const nothing = Stream.make(new TextEncoder().encode("{}\n"))
const manifestName = (id: string): string => `${ROOT}${id}${MANIFEST}`

const filesOf = (id: string): string => `${ROOT}${id}/`

/** The file of one partition's state. */
export const savepointFile = (id: string, { topic, partition }: TopicPartition): string =>
  `${filesOf(id)}${topic}/${partition}${FILE}`

/** What may be part of a file's name and of a command line. */
export const isSavepointId = (id: string): boolean => /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/.test(id)

type Stored<A> = Effect.Effect<A, SavepointError | BlobError, SavepointBlobs>

/** Runs what works on checkpoint files on the store of savepoints. */
export const inSavepoints = <A, E, R>(
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, Exclude<R, Blobs> | SavepointBlobs> =>
  Effect.flatMap(SavepointBlobs, blobs => Effect.provideService(effect, Blobs, blobs))

const ids: Stored<readonly string[]> = Effect.gen(function* () {
  const blobs = yield* SavepointBlobs
  const names = (yield* blobs.list(ROOT)).map(({ name }) => name)
  return names
    .filter(name => name.endsWith(MANIFEST) && !name.slice(ROOT.length).includes("/"))
    .map(name => name.slice(ROOT.length, -MANIFEST.length))
})

/** Fails where there is none of this id, or it is damaged. */
export const readSavepoint = (id: string): Stored<Manifest> =>
  Effect.gen(function* () {
    const blobs = yield* SavepointBlobs
    const there = yield* ids
    if (!there.includes(id)) return yield* new SavepointError({ message: missing(id, there) })
    const bytes = Buffer.concat(yield* Stream.runCollect(blobs.read(manifestName(id))))
    return yield* Effect.try({
      try: () => decodeManifest(bytes),
      catch: error => new SavepointError({ message: `The savepoint ${id} cannot be used: ${messageOf(error)}` })
    })
  })

const missing = (id: string, there: readonly string[]): string => {
  const others = there.length === 0 ? "the store has none" : `the store has ${there.slice(-10).join(", ")}`
  return `There is no savepoint ${id}: ${others}. See headrace savepoint list, and --savepoints for the store`
}

/** One line of a list: a damaged savepoint stays visible. */
export interface Listed {
  readonly id: string
  readonly manifest: Manifest | undefined
  readonly damage: string | undefined
}

/** All savepoints of the store, the oldest first. */
export const listSavepoints: Stored<readonly Listed[]> = Effect.gen(function* () {
  const listed = yield* Effect.forEach(yield* ids, id =>
    Effect.map(
      Effect.result(readSavepoint(id)),
      (read): Listed =>
        Result.isSuccess(read)
          ? { id, manifest: read.success, damage: undefined }
          : { id, manifest: undefined, damage: read.failure.message }
    )
  )
  return listed.toSorted((a, b) => ((a.manifest?.createdAt ?? "") < (b.manifest?.createdAt ?? "") ? -1 : 1))
})

/** Fails if there is one of this id. */
export const claimId = (id: string): Stored<void> =>
  Effect.gen(function* () {
    if (!isSavepointId(id))
      return yield* new SavepointError({
        message: `"${id}" cannot be a savepoint's id: use letters, digits, ".", "_" and "-", at most 200, the first one no sign`
      })
    if ((yield* ids).includes(id))
      return yield* new SavepointError({
        message: `There is a savepoint ${id} already: give another --id, or delete it`
      })
  })

/** Call it before the first file of a savepoint is written: without a manifest it is nobody's. */
export const beginSavepoint = (id: string, app: string): Stored<void> =>
  Effect.flatMap(SavepointBlobs, blobs => blobs.put(`${filesOf(id)}${app}${BEGUN}`, nothing))

/**
 * From now on the savepoint is there. Or it fails: another process may have taken its files for left ones (`clearAbandoned`).
 * That says so before it looks for the manifest, and here it is looked for what it says behind the manifest: one of the two
 * sees the other.
 */
export const putManifest = (manifest: Omit<Manifest, "format">): Stored<void> =>
  Effect.gen(function* () {
    const blobs = yield* SavepointBlobs
    const { id, app } = manifest
    if (!(yield* isWhole(manifest))) return yield* taken(id, app)
    yield* blobs.put(manifestName(id), Stream.make(encodeManifest(manifest)))
    if (!(yield* isWhole(manifest))) {
      yield* blobs.remove(manifestName(id))
      return yield* taken(id, app)
    }
    yield* blobs.remove(`${filesOf(id)}${app}${BEGUN}`)
  })

/** All of its files are there, and nobody is removing them. */
const isWhole = ({ id, app, partitions }: Omit<Manifest, "format">) =>
  Effect.gen(function* () {
    const blobs = yield* SavepointBlobs
    if ((yield* blobs.list(filesOf(id))).some(({ name }) => name === `${filesOf(id)}${app}${CLEARED}`)) return false
    // Anew: what somebody has removed who has ended since is gone by now.
    const sizes = new Map((yield* blobs.list(filesOf(id))).map(({ name, bytes }) => [name, bytes]))
    return partitions.every(one => one.sourceOffset === null || sizes.get(savepointFile(id, one)) === one.bytes)
  })

/** What was written since is left for the next one to clear. */
const taken = (id: string, app: string) =>
  Effect.andThen(
    beginSavepoint(id, app),
    Effect.fail(
      new SavepointError({
        message: `The savepoint ${id} was not taken: another one of ${app} was begun meanwhile, and removed its files as those of one that never ended. Take one at a time`
      })
    )
  )

/** Removes what savepoints of this app have left that were killed, or failed, before they had a manifest, and says so. */
export const clearAbandoned = (app: string): Stored<void> =>
  Effect.gen(function* () {
    const blobs = yield* SavepointBlobs
    const there = yield* ids
    const names = (yield* blobs.list(ROOT)).map(({ name }) => name)
    for (const id of new Set(names.flatMap(name => unendedId(name, app) ?? [])))
      if (!there.includes(id)) yield* cleared(id, app)
  })

/** The savepoint that a mark of this app stands for. */
const unendedId = (name: string, app: string): string | undefined => {
  const [id, file, ...more] = name.slice(ROOT.length).split("/")
  return more.length === 0 && (file === `${app}${BEGUN}` || file === `${app}${CLEARED}`) ? id : undefined
}

/** Of the two marks there is always one: what is interrupted here is gone on with. */
const cleared = (id: string, app: string): Stored<void> =>
  Effect.gen(function* () {
    const blobs = yield* SavepointBlobs
    const mark = `${filesOf(id)}${app}${CLEARED}`
    yield* blobs.put(mark, nothing)
    // It was being written, and has come to its end.
    if ((yield* ids).includes(id)) return yield* blobs.remove(mark)
    // Before the files: whoever still writes some finds that out behind them, and puts it back.
    yield* blobs.remove(`${filesOf(id)}${app}${BEGUN}`)
    const files = (yield* blobs.list(filesOf(id))).filter(({ name }) => name.endsWith(FILE))
    for (const { name } of files) yield* blobs.remove(name)
    // Of one that was killed before it saw what is done here.
    yield* blobs.remove(manifestName(id))
    yield* blobs.remove(mark)
    yield* Effect.logWarning(
      `the savepoint ${id} of ${app} was begun and never ended: removed its files (${files.length})`
    )
  })

/** Removes its files, then the manifest: one that was interrupted can be deleted again. Also of a damaged one. */
export const deleteSavepoint = (id: string): Stored<void> =>
  Effect.gen(function* () {
    const blobs = yield* SavepointBlobs
    const there = yield* ids
    if (!there.includes(id)) return yield* new SavepointError({ message: missing(id, there) })
    for (const { name } of yield* blobs.list(filesOf(id))) yield* blobs.remove(name)
    yield* blobs.remove(manifestName(id))
  })
