// How fast state comes back from checkpoints: `bun loadtest/bench/restore.ts`

import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { layer as fileSystem } from "@effect/platform-node/NodeFileSystem"
import { layer as path } from "@effect/platform-node/NodePath"
import {
  ByteWriter,
  ChangeSet,
  GridWindow,
  type Input,
  type Keyed,
  keyed,
  NO_WATERMARK,
  PartitionState,
  Process,
  STRING_KEY,
  type Stateful,
  type StoredBlock,
  type StoredCodec,
  type ValueHandle
} from "@headrace/core"
import { startS3 } from "@headrace/dev"
import { Blobs, type ChangelogReader, directoryBlobs, LaneMetrics, type Source } from "@headrace/engine"
import { bucketBlobs } from "@headrace/s3"
import { Effect, Layer, Stream } from "effect"
import { checkpointName } from "../../packages/engine/src/recovery/checkpoint.ts"
import { CheckpointWriter } from "../../packages/engine/src/recovery/checkpoint-file.ts"
import { RestoreProgress } from "../../packages/engine/src/recovery/progress.ts"
import { type RestoreOptions, restoreTask } from "../../packages/engine/src/recovery/restore.ts"
import type { Task } from "../../packages/engine/src/task/task.ts"
import { count } from "../src/text.ts"
import { median } from "./figures.ts"

/**
 * A million keys, in as many partitions as are restored at a time, as a lane restores them: without a changelog behind
 * the checkpoints, and with nothing beside it. The checkpoints are full ones, or those with changes of a tenth of the
 * keys on them.
 */
const { values: flags } = parseArgs({
  options: {
    keys: { type: "string", default: "1000000" },
    partitions: { type: "string", default: "4" },
    rounds: { type: "string", default: "3" },
    stores: { type: "string", default: "directory,S3" }
  }
})
const keys = Number(flags.keys)
const partitions = Number(flags.partitions)
const rounds = Number(flags.rounds)
const TOPIC = "bench"
const OFFSET = 1
const CHANGED = 10

type Event = { readonly cents: number }
type Operator = Stateful & Input
const output: Input = { next: () => {}, watermark: () => {} }
const cents = (event: Event) => event.cents

const windowOf = (key: Keyed): Operator =>
  new GridWindow({
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
    output,
    late: undefined
  })

const integer: StoredCodec = {
  write: (value, out) => out.varint(value as number),
  read: (bytes, start, end) => {
    let value = 0
    for (let at = end - 1; at >= start; at--) value = value * 128 + (bytes[at]! & 127)
    return value
  }
}

const processOf =
  (ttlMs?: number) =>
  (key: Keyed): Operator =>
    new Process({
      id: "bench",
      state: {
        payments: { kind: "value", codec: integer, ttlMs },
        spent: { kind: "value", codec: integer, ttlMs }
      },
      onRecord: (event: Event, { state }: { state: Readonly<Record<"payments" | "spent", ValueHandle<number>>> }) => {
        state.payments.set((state.payments.get() ?? 0) + 1)
        state.spent.set((state.spent.get() ?? 0) + event.cents)
      },
      onTimer: undefined,
      onProcessingTimer: undefined,
      clock: { now: NO_WATERMARK },
      key,
      output
    })

const kinds = {
  "window, 4 aggregates": windowOf,
  "process, 2 values": processOf(),
  "process, 2 values that expire": processOf(86_400_000)
}

/** An operator of one partition, and its part of the keys. */
class Half {
  readonly state: PartitionState
  private readonly key = keyed()
  private readonly operator: Operator
  private readonly partition: number

  constructor(make: (key: Keyed) => Operator, partition: number) {
    this.operator = make(this.key)
    this.partition = partition
    this.state = new PartitionState([this.operator])
    this.key.kind = STRING_KEY
  }

  /** An event of each `every`th key. */
  feed(every: number): void {
    const text = new TextEncoder()
    for (let i = this.partition; i < keys; i += partitions * every) {
      this.key.bytes = text.encode(`acc-${String(i).padStart(12, "0")}`)
      this.key.start = 0
      this.key.end = this.key.bytes.length
      this.operator.next({ cents: i & 1023 }, 1)
    }
  }

  delta(): ChangeSet {
    const out = new ByteWriter(1 << 20)
    this.state.delta(out)
    const changes = new ChangeSet()
    changes.add(out.written())
    return changes
  }
}

/** Writes a partition's checkpoints: a full one, and with `changed` one of changes that stands on it. */
const write = (make: (key: Keyed) => Operator, partition: number, changed: boolean) =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const half = new Half(make, partition)
    half.feed(1)
    const header = { topic: TOPIC, partition, sourceOffset: OFFSET }
    const full = checkpointName("bench", header, OFFSET)
    const first = new CheckpointWriter()
    const entries = half.delta().merging().rest()
    yield* put(full, [first.begin({ ...header, changelogOffset: OFFSET }), ...first.add(entries), ...first.end()])
    if (!changed) return
    half.feed(CHANGED)
    const second = new CheckpointWriter()
    const begin = second.begin({ ...header, changelogOffset: OFFSET + 1, over: [full] })
    yield* put(checkpointName("bench", header, OFFSET + 1), [begin, ...second.changes(half.delta())])

    function put(name: string, blocks: readonly Uint8Array[]) {
      return blobs.put(name, Stream.fromIterable(blocks, { chunkSize: 1 }))
    }
  })

const changelog: ChangelogReader = {
  read: (_, from) => Effect.succeed({ start: 0, end: Number(from) }),
  ahead: () => Effect.void,
  written: () => Effect.succeed(OFFSET),
  stable: () => Effect.succeed(OFFSET)
}

const taskOf = ({ state }: Half, partition: number): Task => {
  const restore = ({ bytes, index }: StoredBlock) => state.putBack(bytes, index)
  return { topic: TOPIC, partition, restore } as Partial<Task> as Task
}

/** Restores all partitions, and then an event of each key comes, which needs what was restored. ms */
const restoring = (make: (key: Keyed) => Operator) =>
  Effect.gen(function* () {
    const metrics = new LaneMetrics()
    const options: RestoreOptions = {
      app: "bench",
      changelog,
      changelogTopic: topic => topic,
      source: {
        committed: asked => Effect.succeed(asked.map(() => OFFSET)),
        range: () => Effect.succeed({ start: 0, end: OFFSET })
      } as Partial<Source> as Source,
      lost: "stop",
      metrics,
      patienceMs: 0
    }
    const halves = Array.from({ length: partitions }, (_, partition) => new Half(make, partition))
    Bun.gc(true)
    const begun = performance.now()
    const progress = new RestoreProgress(metrics)
    const one = (half: Half, partition: number) =>
      progress.during(part => restoreTask(options, taskOf(half, partition), part))
    yield* Effect.forEach(halves, one, { concurrency: 4 })
    const restored = performance.now()
    const bytes = halves.reduce((sum, { state }) => sum + state.size().bytes, 0)
    const fed = performance.now()
    for (const half of halves) half.feed(1)
    return { restore: restored - begun, feed: performance.now() - fed, bytes }
  })

const benched = (make: (key: Keyed) => Operator, changed: boolean) =>
  Effect.gen(function* () {
    const blobs = yield* Blobs
    const stored = Effect.gen(function* () {
      const lists = Array.from({ length: partitions }, (_, partition) => blobs.list(`bench/${TOPIC}/${partition}/`))
      return (yield* Effect.all(lists)).flat()
    })
    for (let partition = 0; partition < partitions; partition++) yield* write(make, partition, changed)
    const objects = yield* stored
    const mega = objects.reduce((sum, one) => sum + one.bytes, 0) / 1e6
    const took = []
    for (let round = 0; round < rounds; round++) took.push(yield* restoring(make))
    for (const { name } of objects) yield* blobs.remove(name)
    const ms = median(took.map(one => one.restore))
    return {
      ms: Math.round(ms),
      MB: mega.toFixed(1),
      "MB/s": ((1000 * mega) / ms).toFixed(1),
      "keys/s": count((1000 * keys) / ms),
      "bytes a key": Math.round(median(took.map(one => one.bytes)) / keys),
      "then ns an event": Math.round((1e6 * median(took.map(one => one.feed))) / keys)
    }
  })

const directory = mkdtempSync(join(tmpdir(), "headrace-bench-"))
const s3 = flags.stores.includes("S3") ? await startS3() : undefined
process.env.AWS_ACCESS_KEY_ID = s3?.accessKeyId
process.env.AWS_SECRET_ACCESS_KEY = s3?.secretAccessKey
try {
  const stores: Record<string, Layer.Layer<Blobs, unknown>> = {
    directory: directoryBlobs(directory).pipe(Layer.provide([fileSystem, path]))
  }
  if (s3 !== undefined) {
    const { bucket, endpoint, region } = s3
    stores["S3 (s3proxy)"] = bucketBlobs({ bucket, endpoint, region, prefix: "", pathStyle: true })
  }
  const rows: Record<string, unknown> = {}
  for (const [where, store] of Object.entries(stores))
    for (const [what, make] of Object.entries(kinds))
      for (const changed of [false, true])
        rows[`${where}: ${what}${changed ? `, and changes of 1 in ${CHANGED}` : ""}`] = await Effect.runPromise(
          Effect.provide(benched(make, changed), store)
        )
  console.log(`${count(keys)} keys in ${partitions} partitions, restored in one lane:`)
  console.table(rows)
} finally {
  await s3?.stop()
  rmSync(directory, { recursive: true, force: true })
}
