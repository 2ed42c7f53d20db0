import { afterAll, beforeAll, expect, test } from "bun:test"
import { startKafka } from "@headrace/dev"
import { Effect } from "effect"
import { openChangelog } from "../src/changelog.ts"
import { createTopic, openProducer, pack } from "./support.ts"

/** More than are read at a time. */
const PARTITIONS = 10
const RECORDS = 200

let kafka: Awaited<ReturnType<typeof startKafka>>
beforeAll(async () => {
  kafka = await startKafka()
})
afterAll(() => kafka?.stop())

const text = new TextDecoder()

test("many partitions are read at a time, each to its own end, and from where a read had enough", async () => {
  const { bootstrap } = kafka
  const topic = await createTopic(bootstrap, PARTITIONS)
  const producer = openProducer(bootstrap)
  const id = producer.topicId(topic)
  const recordOf = (partition: number, i: number) => `${partition}:${i}`
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
  const records = partitions.flatMap(partition =>
    Array.from({ length: RECORDS }, (_, i) => ({ topic: id, partition, value: recordOf(partition, i) }))
  )
  producer.produce(pack(records), 0, records.length)
  await producer.flush(20_000)
  await producer.close()

  const read = Effect.gen(function* () {
    const changelog = yield* openChangelog({ bootstrap, settings: {} })
    const one = (partition: number, from: number | "beginning", enough: number) => {
      const values: string[] = []
      const take = (_: number, bytes: Uint8Array, start: number, end: number) =>
        values.push(text.decode(bytes.subarray(start, end))) < enough
      return Effect.map(changelog.read({ topic, partition }, from, take), range => ({ ...range, values }))
    }
    const first = yield* Effect.forEach(partitions, partition => one(partition, "beginning", 1 + partition), {
      concurrency: "unbounded"
    })
    const rest = yield* Effect.forEach(partitions, partition => one(partition, first[partition]!.end, RECORDS), {
      concurrency: "unbounded"
    })
    const ends = yield* Effect.forEach(partitions, partition => changelog.stable({ topic, partition }))
    return { first, rest, ends }
  })
  const { first, rest, ends } = await Effect.runPromise(Effect.scoped(read))
  expect(ends).toEqual(partitions.map(() => RECORDS))
  for (const partition of partitions) {
    const enough = 1 + partition
    const values = Array.from({ length: RECORDS }, (_, i) => recordOf(partition, i))
    expect(first[partition]).toEqual({ start: 0, end: enough, values: values.slice(0, enough) })
    expect(rest[partition]).toEqual({ start: 0, end: RECORDS, values: values.slice(enough) })
  }
})

test("what is fetched ahead is read like all else: also what came since, and from elsewhere", async () => {
  const { bootstrap } = kafka
  const topic = await createTopic(bootstrap, PARTITIONS)
  const producer = openProducer(bootstrap)
  const id = producer.topicId(topic)
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => partition)
  const write = async (values: readonly string[]) => {
    const records = partitions.flatMap(partition => values.map(value => ({ topic: id, partition, value })))
    producer.produce(pack(records), 0, records.length)
    await producer.flush(20_000)
  }
  await write(["a", "b", "c"])

  const read = Effect.gen(function* () {
    const changelog = yield* openChangelog({ bootstrap, settings: {} })
    const one = (partition: number, from: number | "beginning") => {
      const values: string[] = []
      const take = (_: number, bytes: Uint8Array, start: number, end: number) =>
        values.push(text.decode(bytes.subarray(start, end))) > 0
      return Effect.map(changelog.read({ topic, partition }, from, take), ({ end }) => ({ end, values }))
    }
    const ahead = (from: number) =>
      Effect.forEach(partitions, partition => changelog.ahead({ topic, partition }, from), { discard: true })
    const all = (from: number) =>
      Effect.forEach(partitions, partition => one(partition, from), { concurrency: "unbounded" })
    // Nobody reads it: the readers are free again.
    yield* Effect.scoped(ahead(0))
    const elsewhere = yield* Effect.scoped(Effect.andThen(ahead(2), all(1)))
    const late = yield* Effect.scoped(
      Effect.gen(function* () {
        yield* ahead(1)
        // One of the readers at least is at what was the end by now.
        const first = yield* one(0, 1)
        yield* Effect.promise(() => write(["d"]))
        return [first, ...(yield* all(1))]
      })
    )
    return { elsewhere, late }
  })
  const { elsewhere, late } = await Effect.runPromise(Effect.scoped(read))
  await producer.close()
  const every = <A>(one: A) => partitions.map(() => one)
  expect(elsewhere).toEqual(every({ end: 3, values: ["b", "c"] }))
  expect(late).toEqual([{ end: 3, values: ["b", "c"] }, ...every({ end: 4, values: ["b", "c", "d"] })])
})
