import { expect, test } from "bun:test"
import {
  BlobError,
  Blobs,
  type ChangelogReader,
  Clients,
  checkpointAll,
  type JobConfig,
  LogError,
  type TopicPartition,
  transactionalIds
} from "@headrace/engine"
import { Effect, Result, Schema, Stream } from "effect"
import { Pipeline, Sink, Source, toPlan } from "headrace"
import { ChangelogWriter } from "../src/recovery/changelog.ts"
import { Outputs } from "../src/task/outputs.ts"
import type { Task } from "../src/task/task.ts"

const Order = Schema.Struct({ account: Schema.String })
const plan = toPlan(Pipeline.make("checkpointing").from(Source.kafka("orders", Order)).to(Sink.kafka("copies", Order)))
const job = { app: "app", instance: "i", checkpoint: { retained: 1 } } as JobConfig
const PARTITIONS = 4

/** The value of a changelog record by which a partition came to `to`. */
const recordOf = (partition: number, to: number, instance = "i"): Uint8Array => {
  const outputs = new Outputs()
  const task = { topic: "orders", partition, startedAt: () => 0, delta: () => {} } as unknown as Task
  new ChangelogWriter(transactionalIds({ ...job, instance }, 0)).write(task, to, outputs, 0)
  return outputs.data.written()
}

/** A changelog of a record, and of as many offsets. */
interface Log {
  readonly writer: string
  readonly offset: number
  readonly end: number
}

/** A round over changelogs of a record each; reading those of `broken` fails so. */
const round = (broken: ReadonlyMap<number, LogError>, logs: ReadonlyMap<number, Log> = new Map()) => {
  const asked: string[] = []
  const logOf = (partition: number): Log => logs.get(partition) ?? { writer: "i", offset: 0, end: 2 }
  const trimmed: number[] = []
  const files = new Map<string, Uint8Array>()
  const read: ChangelogReader["read"] = ({ partition }, from, record) => {
    asked.push(`${partition} from ${from}`)
    const error = broken.get(partition)
    if (error !== undefined) return Effect.fail(error)
    const { writer, offset, end } = logOf(partition)
    const value = recordOf(partition, 5, writer)
    if (from === "beginning" || from <= offset) record(offset, value, 0, value.length)
    return Effect.succeed({ start: 0, end })
  }
  const stable: ChangelogReader["stable"] = ({ partition }) => Effect.succeed(logOf(partition).end)
  const admin = {
    partitions: () => Effect.succeed(new Map([["orders", PARTITIONS]])),
    trim: ({ partition }: TopicPartition) => Effect.sync(() => void trimmed.push(partition))
  }
  const blobs = Blobs.of({
    list: prefix =>
      Effect.sync(() =>
        [...files].filter(([name]) => name.startsWith(prefix)).map(([name, bytes]) => ({ name, bytes: bytes.length }))
      ),
    read: name => Stream.make(files.get(name)!),
    put: (name, bytes) =>
      Effect.map(Stream.runCollect(bytes), chunks => void files.set(name, Buffer.concat(chunks as Uint8Array[]))),
    remove: () => Effect.void
  })
  const clients = {
    admin: Effect.succeed(admin),
    changelog: Effect.succeed({ read, stable })
  } as unknown as Clients["Service"]
  const result = Effect.runSync(
    Effect.result(checkpointAll(plan, job)).pipe(
      Effect.provideService(Clients, clients),
      Effect.provideService(Blobs, blobs)
    )
  )
  return { trimmed, asked, files: [...files.keys()], failure: Result.isFailure(result) ? result.failure : undefined }
}

test("a partition of which no checkpoint can be made keeps no other from its own; the round fails with all that failed", () => {
  const { trimmed, files, failure } = round(
    new Map([
      [0, new LogError("Retry", "its leader is away")],
      [2, new LogError("Stop", "it is damaged")]
    ])
  )
  expect(trimmed).toEqual([1, 3])
  expect(files.map(name => name.split("/")[2])).toEqual(["1", "3"])
  expect(failure).toMatchObject({
    failure: "Stop",
    message: "no checkpoint of orders/0: its leader is away; no checkpoint of orders/2: it is damaged"
  })
})

test("a store that fails for three partitions in a row is away: the round ends with that", () => {
  const away = new LogError("Retry", "no room", {
    cause: new BlobError({ failure: "Unavailable", message: "no room", cause: undefined })
  })
  const { failure, asked } = round(new Map([0, 1, 2].map(partition => [partition, away])))
  expect(failure?.message.match(/no room/g)).toHaveLength(3)
  expect(asked.map(one => one[0])).toEqual(["0", "1", "2"])
})

test("a round in which nothing failed succeeds", () => {
  expect(round(new Map())).toMatchObject({ trimmed: [0, 1, 2, 3], failure: undefined })
})

test("of what another instance wrote only the end is read, however much of it there is", () => {
  const long = { offset: 99_998, end: 100_000 }
  const logs = new Map([
    [0, { ...long, writer: "other" }],
    [1, { ...long, writer: "i" }],
    // Nothing is to be seen there: it may be one's own.
    [2, { writer: "i", offset: 5, end: 100_000 }],
    [3, { writer: "other", offset: 5, end: 100_000 }]
  ])
  const { asked, trimmed, failure } = round(new Map(), logs)
  const looked = (partition: number) => `${partition} from 99984`
  const whole = (partition: number) => `${partition} from beginning`
  expect(asked).toEqual([looked(0), looked(1), whole(1), looked(2), whole(2), looked(3), whole(3)])
  expect(trimmed).toEqual([1, 2])
  expect(failure).toBeUndefined()
})
