import { messageOf, PUNCTUATED, SourceClock } from "@headrace/core"
import { type Batch, Codecs, type PreparedDecoder, STRIDE, VALUE_LENGTH, VALUE_START } from "@headrace/engine"
import type { TopicReader } from "@headrace/kafka"
import { Effect } from "effect"
import type { SourceNode } from "headrace"
import { ConfigError } from "../config/error.ts"
import { partitionsOf } from "./topic.ts"
import type { Recorded, Trial, TrialCounts, TrialOutput } from "./trial.ts"

/** Where in a topic events are taken from: in each partition from an offset on, or from a time of the log, in ms. */
export type From = { readonly offset: number } | { readonly time: number }

export interface TopicOfEvents {
  /** A pipeline's source that reads the topic: its schema, its event time, its disorder. */
  readonly source: SourceNode
  /** A field that holds the event time, in place of the source's. */
  readonly time: string | undefined
  readonly outOfOrdernessMs: number | undefined
  readonly from: From
  /** At most so many events. */
  readonly limit: number
}

/**
 * Tries a pattern on what a topic holds, to its end as of now. It is read on where event time is furthest behind, so that
 * what waits in memory is what one read brings, and disorder. As behind a repartitioning, event time is the least of all
 * partitions': what is late only for its own partition is not.
 */
export const tryOnTopic = Effect.fnUntraced(function* <E>(
  trial: Trial,
  reader: TopicReader,
  events: TopicOfEvents,
  print: (outputs: readonly TrialOutput[]) => Effect.Effect<void, E>
) {
  const { topic, schema } = events.source
  const decoder = yield* Effect.flatMap(Codecs, codecs => codecs.decoder(schema, topic))
  const count = yield* partitionsOf(topic)
  if (count === 0) return yield* new ConfigError({ message: `There is no topic ${topic}` })
  const open = yield* Effect.forEach(Array.from({ length: count }).keys(), partition =>
    placeOf(reader, events, partition)
  )
  const run = new Replay(trial, decoder, events)
  for (let left = open; ; ) {
    left = left.filter(({ next, end }) => next < end)
    const [place, ...others] = left.toSorted((a, b) => a.clock.watermark() - b.clock.watermark())
    if (place === undefined || run.isEnough) break
    const { batch, next } = yield* reader.some({ topic, partition: place.partition, offset: place.next })
    yield* prepareAll(decoder, batch)
    yield* Effect.try({
      try: () => run.take(batch, place, Math.min(...others.map(({ clock }) => clock.watermark()))),
      catch: error => new ConfigError({ message: messageOf(error) })
    })
    place.next = next
    yield* print(trial.outputs())
  }
  trial.end()
  yield* print(trial.outputs())
  return trial.counts as Readonly<TrialCounts>
})

interface Place {
  readonly partition: number
  next: number
  readonly end: number
  readonly clock: SourceClock
  /** What says the watermark that an event carries, where events do. */
  readonly mark: ((event: object, timestamp: number) => number | undefined) | undefined
}

const placeOf = Effect.fnUntraced(function* (
  reader: TopicReader,
  { source, outOfOrdernessMs, from }: TopicOfEvents,
  partition: number
) {
  const at = { topic: source.topic, partition }
  const { start, end } = yield* reader.range(at)
  const wanted = "offset" in from ? from.offset : ((yield* reader.offsetAt(at, from.time)) ?? end)
  const mark = outOfOrdernessMs === undefined ? (source.watermarks?.() as Place["mark"]) : undefined
  const bound = mark === undefined ? (outOfOrdernessMs ?? source.outOfOrdernessMs) : PUNCTUATED
  return {
    partition,
    next: Math.max(start, wanted),
    end,
    clock: new SourceClock(source.id, bound),
    mark
  } satisfies Place
})

/** A schema that cannot be had stays unknown, and its records are counted. */
const prepareAll = Effect.fnUntraced(function* (decoder: PreparedDecoder, { bytes, index, count }: Batch) {
  for (let i = 0; i < count; i++) {
    const [start, length] = [index[i * STRIDE + VALUE_START]!, index[i * STRIDE + VALUE_LENGTH]!]
    const id = length > 0 ? decoder.schemaId(bytes, start, length) : -1
    if (id >= 0 && !decoder.knows(id))
      yield* Effect.catchIf(decoder.prepare(id), ({ waiting }) => !waiting, Effect.logWarning)
  }
})

class Replay {
  private readonly trial: Trial
  private readonly decoder: PreparedDecoder
  private readonly events: TopicOfEvents
  private readonly timeOf: (event: Recorded, timestamp: number) => unknown

  constructor(trial: Trial, decoder: PreparedDecoder, events: TopicOfEvents) {
    const { source, time } = events
    this.trial = trial
    this.decoder = decoder
    this.events = events
    const eventTime = source.eventTime as ((event: object) => number) | undefined
    if (time !== undefined) this.timeOf = event => event[time]
    else this.timeOf = eventTime ?? ((_, timestamp) => timestamp)
  }

  get isEnough(): boolean {
    return this.trial.counts.events >= this.events.limit
  }

  /** `behind`: the watermark of the other partitions. */
  take({ bytes, index, stamps, count }: Batch, place: Place, behind: number): void {
    for (let i = 0; i < count && !this.isEnough && stamps[i * 2]! < place.end; i++) {
      const length = index[i * STRIDE + VALUE_LENGTH]!
      if (length < 0) continue
      const event = this.decoded(bytes, index[i * STRIDE + VALUE_START]!, length)
      if (event === undefined) this.trial.counts.undecodable++
      else this.takeOne(event, stamps[i * 2]!, stamps[i * 2 + 1]!, place, behind)
    }
  }

  private takeOne(event: Recorded, offset: number, timestamp: number, place: Place, behind: number): void {
    const { clock, mark, partition } = place
    const where = `${this.events.source.topic}[${partition}] offset ${offset}`
    const at = this.trial.take(event, this.timeOf(event, timestamp), where)
    const time = mark === undefined ? at : mark(event, at)
    if (time !== undefined) clock.observe(time)
    this.trial.watermark(Math.min(behind, clock.watermark()))
  }

  private decoded(bytes: Uint8Array, start: number, length: number): Recorded | undefined {
    try {
      this.decoder.view(bytes, start, length)
      return this.decoder.materialise() as Recorded
    } catch {
      return undefined
    }
  }
}
