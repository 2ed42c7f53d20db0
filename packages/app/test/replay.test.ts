import { expect, test } from "bun:test"
import type { RecordDecoder } from "@headrace/core"
import { type Batch, Clients, Codecs, type Position, STRIDE, VALUE_LENGTH, VALUE_START } from "@headrace/engine"
import type { TopicReader } from "@headrace/kafka"
import { Effect, Layer } from "effect"
import type { SourceNode } from "headrace"
import { tryOnTopic } from "../src/pattern/replay.ts"
import { Trial } from "../src/pattern/trial.ts"

/** Records of a slice: what one read brings. */
const SLICE = 10

const pair = JSON.stringify({
  pattern: [
    { name: "first", where: { field: "n", op: "==", value: 1 } },
    { name: "second", contiguity: "next", where: { field: "n", op: "==", value: 2 } }
  ]
})

interface Event {
  readonly key: string
  readonly n: number
  readonly at: number
}

/** JSON in place of Avro. */
const decoder = () => {
  let event: object = {}
  const view = (bytes: Uint8Array, start: number, length: number) => {
    event = JSON.parse(new TextDecoder().decode(bytes.subarray(start, start + length)))
    return event
  }
  return { schemaId: () => -1, view, materialise: () => event } as unknown as RecordDecoder
}

const batchOf = (events: readonly Event[], first: number): Batch => {
  const values = events.map(event => new TextEncoder().encode(JSON.stringify(event)))
  const index = new Int32Array(events.length * STRIDE)
  let start = 0
  for (const [i, value] of values.entries()) {
    index[i * STRIDE + VALUE_START] = start
    index[i * STRIDE + VALUE_LENGTH] = value.length
    start += value.length
  }
  const stamps = Float64Array.from(events.flatMap((_, i) => [first + i, 0]))
  return { bytes: new Uint8Array(Buffer.concat(values)), index, stamps, count: events.length }
}

/** A topic in memory, and what was read of it, in that order. */
const topicOf = (partitions: readonly (readonly Event[])[]) => {
  const reads: Position[] = []
  const reader: TopicReader = {
    // The last offset is a transaction's marker.
    range: ({ partition }) => Effect.succeed({ start: 0, end: partitions[partition]!.length + 1 }),
    offsetAt: () => Effect.succeed(undefined),
    some: from => {
      reads.push(from)
      const events = partitions[from.partition]!.slice(from.offset, from.offset + SLICE)
      return Effect.succeed({
        batch: batchOf(events, from.offset),
        next: from.offset + Math.max(1, events.length)
      })
    }
  }
  return { reads, reader }
}

const source = { topic: "t", id: "t", eventTime: (event: Event) => event.at, outOfOrdernessMs: 0 }

const tried = async (partitions: readonly (readonly Event[])[], limit = Number.POSITIVE_INFINITY) => {
  const { reads, reader } = topicOf(partitions)
  const trial = new Trial({ id: "pair", spec: pair, key: "key" })
  const found: string[] = []
  const options = {
    source: source as unknown as SourceNode,
    time: undefined,
    outOfOrdernessMs: undefined,
    from: { offset: 0 },
    limit
  }
  const admin = Effect.succeed({ partitions: () => Effect.succeed(new Map([["t", partitions.length]])) })
  const services = Layer.merge(
    Layer.succeed(Clients, { admin } as unknown as Clients["Service"]),
    Layer.succeed(Codecs, { decoder: () => Effect.succeed(decoder()) } as unknown as Codecs["Service"])
  )
  const counts = await Effect.runPromise(
    tryOnTopic(trial, reader, options, outputs =>
      Effect.sync(() => void found.push(...outputs.map(({ key, at }) => `${key} ${at}`)))
    ).pipe(Effect.provide(services))
  )
  return { reads, found, counts }
}

test("what a topic holds is read on where event time is furthest behind: little of it waits, and none is late", async () => {
  const at = (key: string, stepMs: number, count: number): Event[] =>
    Array.from({ length: count }, (_, i) => ({ key, n: i % 2 === 0 ? 1 : 2, at: (i + 1) * stepMs }))
  // One partition goes ten times as fast in event time as the other.
  const { reads, found, counts } = await tried([at("slow", 1, 100), at("fast", 10, 100)])
  expect(counts).toMatchObject({ events: 200, match: 100, timedOut: 0, late: 0, undecodable: 0 })
  const times = found.map(one => Number(one.split(" ")[1]))
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  // All of the slow one is over before the fast one is read a second time.
  expect(reads.map(({ partition }) => partition)).toEqual([0, 1, ...Array(10).fill(0), ...Array(10).fill(1)])
})

test("events of a key in several partitions are one series", async () => {
  const first = [{ key: "a", n: 1, at: 1 }]
  const second = [{ key: "a", n: 2, at: 2 }]
  expect((await tried([second, first])).found).toEqual(["a 2"])
})

test("no more is taken than was asked for", async () => {
  const events = Array.from({ length: 50 }, (_, i) => ({ key: "a", n: 1 + (i % 2), at: i }))
  const { reads, counts } = await tried([events], 15)
  expect(counts).toMatchObject({ events: 15, match: 7 })
  expect(reads).toHaveLength(2)
})
