import { partitionOf } from "@headrace/core"
import { Clients, Codecs, LogError, Outputs, type TopicPartition } from "@headrace/engine"
import { Effect, type Schema } from "effect"

/** A record of a topic, and where it stands. */
export interface Read<A> {
  readonly partition: number
  readonly offset: number
  readonly value: A
}

/** Where each partition ends, by its number: nothing where there is no topic. */
export type Ends = ReadonlyMap<number, number>

export const partitionsOf = (topic: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const admin = yield* Effect.flatMap(Clients, clients => clients.admin)
      return (yield* admin.partitions([topic])).get(topic) ?? 0
    })
  )

/** How far a topic goes as of now. */
export const endsOf = (topic: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const reader = yield* Effect.flatMap(Clients, clients => clients.changelog)
      const count = yield* partitionsOf(topic)
      const ends = yield* Effect.forEach(partitionsTo(topic, count), one => reader.written(one))
      return new Map(ends.entries()) as Ends
    })
  )

/** The records of a topic from `from` (or the beginning) to its end, in the order of each partition; without those that are none of the schema. */
export const readTopic = <S extends Schema.Top>(topic: string, schema: S, from: Ends = new Map()) =>
  Effect.scoped(
    Effect.gen(function* () {
      const codecs = yield* Codecs
      const decoder = yield* codecs.decoder(schema, topic)
      const found: Read<S["Type"]>[] = []
      for (const place of partitionsTo(topic, yield* partitionsOf(topic)))
        for (const { offset, bytes } of yield* bytesOf(place, from.get(place.partition) ?? "beginning")) {
          const id = decoder.schemaId(bytes, 0, bytes.length)
          if (id >= 0 && !decoder.knows(id)) yield* decoder.prepare(id)
          const value = legible<S["Type"]>(() => {
            decoder.view(bytes, 0, bytes.length)
            return decoder.materialise() as S["Type"]
          })
          if (value !== undefined) found.push({ partition: place.partition, offset, value })
        }
      return found as readonly Read<S["Type"]>[]
    })
  )

const partitionsTo = (topic: string, count: number): readonly TopicPartition[] =>
  Array.from({ length: count }, (_, partition) => ({ topic, partition }))

/** What of a topic can still be read: a part of it may have expired. */
const bytesOf = Effect.fnUntraced(function* (place: TopicPartition, from: number | "beginning") {
  const reader = yield* Effect.flatMap(Clients, clients => clients.changelog)
  const found: { readonly offset: number; readonly bytes: Uint8Array }[] = []
  const take = (offset: number, bytes: Uint8Array, start: number, end: number): boolean => {
    if (end > start) found.push({ offset, bytes: bytes.slice(start, end) })
    return true
  }
  const { start } = yield* reader.read(place, from, take)
  if (start > (from === "beginning" ? 0 : from)) yield* reader.read(place, start, take)
  return found
})

const legible = <A>(read: () => A): A | undefined => {
  try {
    return read()
  } catch {
    return undefined
  }
}

/** Sends one record, by its key, to a topic that is there, and waits until it is committed. */
export const send = <S extends Schema.Top>(topic: string, schema: S, key: string, value: S["Type"]) =>
  Effect.scoped(
    Effect.gen(function* () {
      const [clients, codecs] = [yield* Clients, yield* Codecs]
      const partitions = yield* partitionsOf(topic)
      if (partitions === 0) return yield* Effect.fail(new LogError("Stop", `There is no topic ${topic}`))
      const encoder = yield* codecs.encoder(schema, topic)
      const outputs = new Outputs()
      const name = new TextEncoder().encode(key)
      outputs.data.copy(name, 0, name.length)
      encoder.encode(value as object, outputs.data)
      outputs.add(0, partitionOf(name, partitions), 0, name.length, Date.now())
      const producer = yield* clients.producer(`headrace-pattern-${crypto.randomUUID()}`, [topic])
      yield* producer.initialise()
      yield* producer.begin()
      yield* producer.produce(outputs)
      yield* producer.flush()
      yield* producer.commit()
    })
  )
