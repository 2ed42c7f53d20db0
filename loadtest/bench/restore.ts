// How fast state comes back from checkpoints: `bun loadtest/bench/restore.ts`

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { layer as fileSystem } from "@effect/platform-node/NodeFileSystem"
import { layer as path } from "@effect/platform-node/NodePath"
import { ByteWriter, ChangeSet, GridWindow, keyed, PartitionState, STRING_KEY } from "@headrace/core"
import { startS3 } from "@headrace/dev"
import { Blobs, bucketBlobs, type ChangelogReader, directoryBlobs, LaneMetrics, type Source } from "@headrace/engine"
import { Effect, Layer, Stream } from "effect"
import { checkpointName } from "../../packages/engine/src/recovery/checkpoint.ts"
import { CheckpointWriter } from "../../packages/engine/src/recovery/checkpoint-file.ts"
import { RestoreProgress } from "../../packages/engine/src/recovery/progress.ts"
import { type RestoreOptions, restoreTask } from "../../packages/engine/src/recovery/restore.ts"
import type { Task } from "../../packages/engine/src/task/task.ts"
import { count } from "../src/text.ts"
import { median } from "./figures.ts"

/**
 * A million keys of a window with four aggregates, in as many partitions as are restored at a time, as a lane restores
 * them: without a changelog behind the checkpoints, and with nothing beside it.
 */
const { values: flags } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000" },
    partitions: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" }
  }
})
const keys = Number(flags.keys)
const partitions = Number(flags.partitions)
const rounds = Number(flags.rounds)
const TOPIC = "bench"
const OFFSET = 1

const stateOf = () => {
  const key = keyed()
  const cents = (p: { readonly cents: number }) => p.cents
  const window = new GridWindow({
    id: "bench",
    assigner: { kind: "tumbling", sizeMs: 10_000, offsetMs: 0 },
    allowedLatenessMs: 0,
    aggregates: {
      payments: { kind: "count" },
      spent: { kind: "sum", of: cents },
      least: { kind: "min", of: cents },
      most: { kind: "max", of: cents }
    },
    key,
    output: { next: () => {}, watermark: () => {} },
    late: undefined
  })
  return { key, window, state: new PartitionState([window]) }
}

/** The bytes of a partition's checkpoint. */
const checkpointOf = (partition: number): Stream.Stream<Uint8Array> => {
  const { key, window, state } = stateOf()
  key.kind = STRING_KEY
  for (let i = partition; i < keys; i += partitions) {
    key.bytes = new TextEncoder().encode(`acc-${String(i).padStart(12, "0")}`)
    key.start = 0
    key.end = key.bytes.length
    window.next({ cents: i & 1023 }, 1)
  }
  const entries = new ByteWriter(1 << 20)
  state.snapshot(entries)
  const changes = new ChangeSet()
  changes.add(entries.written())
  const file = new CheckpointWriter()
  const header = { topic: TOPIC, partition, changelogOffset: OFFSET, sourceOffset: OFFSET }
  return Stream.fromIterable([file.begin(header), ...file.add(changes.merging().rest()), ...file.end()], {
    chunkSize: 1
  })
}

const changelog: ChangelogReader = {
  read: () => Effect.succeed({ start: OFFSET, end: OFFSET }),
  written: () => Effect.succeed(OFFSET)
}

const taskOf = (partition: number): Task => {
  const { state } = stateOf()
  const restore = (key: Uint8Array, value: Uint8Array) => state.restore(key, value)
  return { topic: TOPIC, partition, restore } as Partial<Task> as Task
}

const restoring = Effect.gen(function* () {
  const metrics = new LaneMetrics()
  const options: RestoreOptions = {
    app: "bench",
    changelog,
    changelogTopic: topic => topic,
    progress: new RestoreProgress(metrics),
    source: {
      committed: asked => Effect.succeed(asked.map(() => OFFSET)),
      range: () => Effect.succeed({ start: 0, end: OFFSET })
    } as Partial<Source> as Source,
    lost: "stop",
    metrics,
    patienceMs: 0
  }
  const tasks = Array.from({ length: partitions }, (_, partition) => taskOf(partition))
  const begun = performance.now()
  yield* Effect.forEach(tasks, task => restoreTask(options, task), { concurrency: 4 })
  return performance.now() - begun
})

const benched = Effect.gen(function* () {
  const blobs = yield* Blobs
  for (let partition = 0; partition < partitions; partition++)
    yield* blobs.put(checkpointName("bench", { topic: TOPIC, partition }, OFFSET), checkpointOf(partition))
  let bytes = 0
  for (let partition = 0; partition < partitions; partition++)
    for (const blob of yield* blobs.list(`bench/${TOPIC}/${partition}/`)) bytes += blob.bytes
  const took: number[] = []
  for (let round = 0; round < rounds; round++) took.push(yield* restoring)
  const seconds = median(took) / 1000
  return { ms: Math.round(seconds * 1000), "MB/s": (bytes / 1e6 / seconds).toFixed(1), "keys/s": count(keys / seconds) }
})

const directory = mkdtempSync(join(tmpdir(), "headrace-bench-"))
const s3 = await startS3()
process.env.AWS_ACCESS_KEY_ID = s3.accessKeyId
process.env.AWS_SECRET_ACCESS_KEY = s3.secretAccessKey
try {
  const { bucket, endpoint, region } = s3
  const stores = {
    directory: directoryBlobs(directory).pipe(Layer.provide([fileSystem, path])),
    "S3 (s3proxy)": bucketBlobs({ bucket, endpoint, region, prefix: "", pathStyle: true })
  }
  const rows: Record<string, unknown> = {}
  for (const [name, store] of Object.entries(stores))
    rows[name] = await Effect.runPromise(Effect.provide(benched, store as Layer.Layer<Blobs>))
  console.log(`${count(keys)} keys in ${partitions} partitions, restored in one lane:`)
  console.table(rows)
} finally {
  await s3.stop()
  rmSync(directory, { recursive: true, force: true })
}
