import { ByteWriter, type RecordEncoder, writeKey } from "@headrace/core"
import { type Batch, Codecs, STRIDE } from "@headrace/engine"
import { Effect } from "effect"
import type { Source } from "headrace"
import { NexmarkGenerator } from "./generator/generator.ts"
import type { NexmarkOptions } from "./generator/options.ts"
import { auctions, bids, persons, sideInput } from "./sources.ts"

/** What the native client hands over at most. */
const POLL_RECORDS = 8192
const SIDE_ROWS = 10_000

/** What some topics hold. */
export interface Feed {
  readonly topics: readonly string[]
  /** How many records each has, by the topic's place. */
  readonly ends: readonly number[]
  /** All records as they are polled, with their keys. The topic's id is its place; each has one partition. */
  readonly batches: readonly Batch[]
}

const SOURCES: readonly Source.Source<object>[] = [persons, auctions, bids, sideInput]
const KINDS = { person: "nexmark.persons", auction: "nexmark.auctions", bid: "nexmark.bids" } as const

/** The first events of a run that some topics have, as Avro in memory: as many as `count` in all. */
export const feedOf = (topics: readonly string[], options: NexmarkOptions, count: number) =>
  Effect.gen(function* () {
    const codecs = yield* Codecs
    const kinds: Kind[] = []
    for (const topic of topics) {
      const { schema, key } = sourceOf(topic)
      kinds.push({ key: key!, encoder: yield* codecs.encoder(schema, topic) })
    }
    return Filling.fill(topics, kinds, options, count)
  })

/** How records of a topic are written. */
interface Kind {
  readonly encoder: RecordEncoder
  /** The field that is the key: as decimal digits. */
  readonly key: string
}

const sourceOf = (topic: string): Source.Source<object>["spec"] => {
  const source = SOURCES.find(({ spec }) => spec.topic === topic)
  if (source === undefined) throw new Error(`Nothing makes records for the topic ${topic}`)
  return source.spec
}

class Filling {
  private readonly ends: number[]
  private readonly batches: Batch[] = []
  private readonly kinds: readonly Kind[]
  private held: (readonly [place: number, record: object, timestamp: number])[] = []

  static fill(topics: readonly string[], kinds: readonly Kind[], options: NexmarkOptions, count: number): Feed {
    const filling = new Filling(kinds)
    const side = topics.indexOf(sideInput.spec.topic)
    for (let key = 0; side >= 0 && key < SIDE_ROWS; key++) filling.add(side, { key, value: `value ${key}` }, 0)
    const generator = new NexmarkGenerator(options)
    for (let made = 0; made < count; ) {
      const { kind, record } = generator.next()
      const place = topics.indexOf(KINDS[kind])
      if (place < 0) continue
      filling.add(place, record, record.dateTime)
      made++
    }
    filling.close()
    return { topics, ends: filling.ends, batches: filling.batches }
  }

  private constructor(kinds: readonly Kind[]) {
    this.kinds = kinds
    this.ends = kinds.map(() => 0)
  }

  private add(place: number, record: object, timestamp: number): void {
    if (this.held.push([place, record, timestamp]) === POLL_RECORDS) this.close()
  }

  /** Partition by partition, as a client hands them over. */
  private close(): void {
    const records = this.held.toSorted(([a], [b]) => a - b)
    this.held = []
    const out = new ByteWriter(records.length * 256)
    const index = new Int32Array(records.length * STRIDE)
    const stamps = new Float64Array(records.length * 2)
    for (const [i, [place, record, timestamp]] of records.entries()) {
      const { key, encoder } = this.kinds[place]!
      const keyStart = out.length
      writeKey(out, String((record as Readonly<Record<string, unknown>>)[key]))
      const start = out.length
      encoder.encode(record, out)
      index.set([place, 0, keyStart, start - keyStart, start, out.length - start, out.length, 0], i * STRIDE)
      stamps.set([this.ends[place]!++, timestamp], i * 2)
    }
    this.batches.push({ bytes: out.written().slice(), index, stamps, count: records.length })
  }
}
