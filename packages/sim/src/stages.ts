import { partitionOf } from "@headrace/core"
import { exchangesOf, exchangeTopics, upstreamTopics } from "@headrace/engine"
import type { Plan } from "headrace"
import type { Event } from "./codec.ts"
import { EnvelopeReader, RECORD, WATERMARK } from "./engine.ts"
import { nameOf, type Partition } from "./log.ts"
import { groupOf } from "./pipelines.ts"
import { APP } from "./world.ts"

/** An event as a stage reads it: which side of a join it is on, and what event time is at that moment. */
export interface Step {
  readonly event: Event
  readonly side: number
  readonly watermark: number
  /** What event time came to there, where the job went on elsewhere from a savepoint. */
  readonly until?: number
}

/** What a partition between two stages holds, in its order. */
export interface Stage {
  readonly steps: readonly Step[]
  /** Where event time ends. */
  readonly watermark: number
}

/** The job before it was saved, or behind that: what it read. */
export interface Stretch {
  readonly topics: ReadonlyMap<string, readonly Partition[]>
  readonly events: (partition: Partition) => readonly Event[]
  /** Event time of a source's partition before all that. */
  readonly floor: (partition: Partition) => number
  /** It ends with the end of event time. */
  readonly drained: boolean
  /** How much of a topic between stages was read. */
  readonly end: (partition: Partition) => number
}

/** Where an event came from. */
interface Origin {
  readonly channel: number
  readonly side: number
  readonly index: number
  /** The watermark of its partition before it. */
  readonly watermark: number
}

const ENVELOPE = 11
const text = new TextDecoder()
const utf8 = new TextEncoder()

/** Those whose keys may go to a partition: all, but where the numbers have a common divisor. */
export const parentsOf = <A>(before: readonly A[], partition: number, after: number): readonly A[] => {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))
  const shared = divisor(before.length, after)
  return before.filter((_, i) => i % shared === partition % shared)
}

/** What partitions hold that go on from a savepoint of others: what those had of their keys, and what `next` says. */
export const carried = (
  before: readonly Stage[],
  keyOf: (event: Event) => string,
  next: readonly Stage[]
): readonly Stage[] =>
  next.map(({ steps, watermark }, partition) => {
    const mine = ({ event }: Step): boolean => partitionOf(utf8.encode(keyOf(event)), next.length) === partition
    const kept = before.flatMap(one => one.steps.filter(mine).map(step => ({ ...step, until: one.watermark })))
    return { steps: [...kept, ...steps], watermark }
  })

/**
 * Reads what crossed between two stages and judges it: each event once, those of a partition in its order, and no
 * watermark of a partition before an event that makes its partition late by it.
 */
export const stagesOf = (
  plan: Plan,
  crossing: (event: Event) => boolean,
  stretches: readonly Stretch[],
  boundMs: number,
  report: (what: string) => void
): readonly Stage[] =>
  exchangeTopics(plan, APP).flatMap(topic => {
    const upstream = exchangesOf(plan, APP, topic).map(node => upstreamTopics(plan, APP, node))
    let readers: readonly StageReader[] = []
    let stages: readonly Stage[] = []
    for (const stretch of stretches) {
      const { topics, events, floor, end, drained } = stretch
      const sides = upstream.map(names => names.flatMap(one => topics.get(one)!))
      const origins = new Map<number, Origin>()
      const ends = sides.map((channels, side) =>
        channels.map((partition, channel) => {
          let watermark = floor(partition)
          for (const [index, event] of events(partition).entries()) {
            if (crossing(event)) origins.set(event.id, { channel, side, index, watermark })
            watermark = Math.max(watermark, event.at - boundMs - 1)
          }
          return drained ? Number.POSITIVE_INFINITY : watermark
        })
      )
      const missing = new Set(origins.keys())
      const partitions = topics.get(topic)!
      const before = readers
      const counts = JSON.stringify(ends.map(side => side.length))
      readers = partitions.map((partition, i) => {
        // The same that flow in go on where they were; of others it is known what all of them had come to.
        const parents = parentsOf(before, i, partitions.length)
        const least = Math.min(...parents.map(one => one.now))
        const same = before[0]?.channels === counts && before.length === partitions.length
        const times = ends.map((side, s) =>
          side.map((_, channel) => {
            if (before.length === 0) return Number.NEGATIVE_INFINITY
            return same ? before[i]!.times[s]![channel]! : least
          })
        )
        return new StageReader(partition, end(partition), origins, ends, times, missing, report)
      })
      const read = readers.map(reader => reader.read())
      stages = stages.length === 0 ? read : carried(stages, groupOf, read)
      for (const id of missing) report(`stage ${topic}: event ${id} never crossed`)
    }
    return stages
  })

class StageReader {
  /** The last watermark of each channel, by side. */
  readonly times: number[][]
  /** The same with those that were not read: a savepoint waits for records only, since watermarks are said again. */
  private readonly said: number[][]
  private readonly envelope = new EnvelopeReader()
  private readonly partition: Partition
  private readonly end: number
  private readonly origins: ReadonlyMap<number, Origin>
  private readonly ends: readonly (readonly number[])[]
  private readonly missing: Set<number>
  private readonly report: (what: string) => void
  private readonly last = new Map<string, number>()
  private readonly steps: Step[] = []

  constructor(
    partition: Partition,
    end: number,
    origins: ReadonlyMap<number, Origin>,
    ends: readonly (readonly number[])[],
    times: number[][],
    missing: Set<number>,
    report: (what: string) => void
  ) {
    this.partition = partition
    this.end = end
    this.origins = origins
    this.ends = ends
    this.times = times
    this.said = times.map(side => [...side])
    this.missing = missing
    this.report = report
  }

  /** How many channels each side has. */
  get channels(): string {
    return JSON.stringify(this.ends.map(side => side.length))
  }

  /** The least of all. */
  get now(): number {
    return Math.min(...this.times.flat())
  }

  read(): Stage {
    for (const { offset, record } of this.partition.all()) {
      const isRead = offset < this.end
      this.envelope.stand(record.value, 0, record.value.length)
      if (this.envelope.kind === WATERMARK) {
        this.watermark(this.said)
        if (isRead) this.watermark(this.times)
      }
      // Where no event crosses, parts of windows do.
      if (isRead && this.envelope.kind === RECORD && this.origins.size > 0)
        this.event(JSON.parse(text.decode(record.value.subarray(ENVELOPE))) as Event)
    }
    this.ends.forEach((channels, side) => {
      channels.forEach((end, channel) => {
        const [read, said] = [this.times[side]![channel]!, this.said[side]![channel]!]
        if (read > end || said < end)
          this.report(`${this.where} ends at ${read > end ? read : said} of channel ${channel}, not at ${end}`)
      })
    })
    return { steps: this.steps, watermark: this.now }
  }

  private get where(): string {
    return `stage ${nameOf(this.partition)}`
  }

  private watermark(of: readonly number[][]): void {
    const { exchange, channel, watermark } = this.envelope
    const times = of[exchange]!
    times[channel] = Math.max(times[channel]!, watermark)
  }

  private event(event: Event): void {
    const origin = this.origins.get(event.id)
    if (origin === undefined || !this.missing.delete(event.id))
      return this.report(`${this.where}: event ${event.id} is doubled, or does not cross`)
    const { channel, side, index, watermark } = origin
    const reached = this.times[side]![channel]!
    if (reached > watermark)
      this.report(`${this.where}: the watermark ${reached} of channel ${channel} stands before event ${event.id}`)
    const name = `${side}/${channel}/${groupOf(event)}`
    if ((this.last.get(name) ?? -1) > index) this.report(`${this.where}: event ${event.id} is out of order`)
    this.last.set(name, index)
    this.steps.push({ event, side, watermark: this.now })
  }
}
