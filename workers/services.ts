// One by one: the package as a whole takes half a second to load, in every thread.
import { layer as fileSystem } from "@effect/platform-node/NodeFileSystem"
import { layer as path } from "@effect/platform-node/NodePath"
import { avroCodecs } from "@headrace/avro"
import {
  Blobs,
  type CheckpointStore,
  CodecError,
  directoryBlobs,
  fatal,
  type JobConfig,
  LogError,
  SavepointBlobs
} from "@headrace/engine"
import { kafkaClients } from "@headrace/kafka"
import { bucketBlobs } from "@headrace/s3"
import { sqliteSpill } from "@headrace/spill"
import { Layer, Redacted } from "effect"
import { layerLog } from "./log.ts"

/** What the engine needs of the world, for one thread: the cluster, the registry and the checkpoint store of a job. */
export const servicesOf = (job: JobConfig) => {
  const { url, auth } = job.registry
  return Layer.mergeAll(
    layerLog,
    kafkaClients(job.kafka),
    avroCodecs({ url, auth: auth === undefined ? undefined : Redacted.make(auth) }),
    sqliteSpill(job.state.directory),
    blobsOf(job.checkpoint.store)
  )
}

const blobsOf = (store: CheckpointStore) =>
  "directory" in store ? directoryBlobs(store.directory).pipe(Layer.provide([fileSystem, path])) : bucketBlobs(store)

/** The store of savepoints. */
export const savepointBlobs = (store: CheckpointStore): Layer.Layer<SavepointBlobs> =>
  Layer.effect(SavepointBlobs, Blobs).pipe(Layer.provide(blobsOf(store)))

/** An error that no restart mends, so that the supervisor stops the job with it. */
export const asFatal = <E>(error: E): E | Error => (isFinal(error) ? fatal(error.message, { cause: error }) : error)

const isFinal = (error: unknown): error is LogError | CodecError =>
  error instanceof LogError ? error.failure === "Stop" : error instanceof CodecError && !error.waiting
