import { exchangesOf, exchangeTopics, upstreamTopics } from "@headrace/engine"
import type { Plan } from "headrace"
import type { Event } from "./codec.ts"
import { EnvelopeReader, RECORD, WATERMARK } from "./engine.ts"
import { nameOf, type Partition } from "./log.ts"
import { groupOf } from "./pipelines.ts"
import { APP, type World } from "./world.ts"

/** An event as a stage reads it: which side of a join it is on, and what event time is at that moment. */
export interface Step {
  readonly event: Event
  readonly side: number
  readonly watermark: number
}

/** What a partition between two stages holds, in its order. */
export interface Stage {
  readonly steps: readonly Step[]
  /** Where event time ends. */
  readonly watermark: number
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

/**
 * Reads what crossed between two stages and judges it: each event once, those of a partition in its order, and no
 * watermark of a partition before an event that makes its partition late by it. `inputs`: the events that cross, by topic,
 * and event time after each partition's last one.
 */
export const stagesOf = (
  world: World,
  plan: Plan,
  crossing: (event: Event) => boolean,
  events: (partition: Partition) => readonly Event[],
  boundMs: number,
  report: (what: string) => void
): readonly Stage[] =>
  exchangeTopics(plan, APP).flatMap(topic => {
    const sides = exchangesOf(plan, APP, topic).map(node =>
      upstreamTopics(plan, APP, node).flatMap(upstream => world.log.topics.get(upstream)!)
    )
    const origins = new Map<number, Origin>()
    const ends = sides.map((channels, side) =>
      channels.map((partition, channel) => {
        let watermark = Number.NEGATIVE_INFINITY
        for (const [index, event] of events(partition).entries()) {
          if (crossing(event)) origins.set(event.id, { channel, side, index, watermark })
          watermark = Math.max(watermark, event.at - boundMs - 1)
        }
        return world.drained ? Number.POSITIVE_INFINITY : watermark
      })
    )
    const missing = new Set(origins.keys())
    const stages = world.log.topics.get(topic)!.map(partition => {
      const reader = new StageReader(partition, origins, ends, missing, report)
      return reader.read()
    })
    for (const id of missing) report(`stage ${topic}: event ${id} never crossed`)
    return stages
  })

class StageReader {
  private readonly envelope = new EnvelopeReader()
  private readonly partition: Partition
  private readonly origins: ReadonlyMap<number, Origin>
  private readonly ends: readonly (readonly number[])[]
  private readonly missing: Set<number>
  private readonly report: (what: string) => void
  private readonly times: number[][]
  private readonly last = new Map<string, number>()
  private readonly steps: Step[] = []

  constructor(
    partition: Partition,
    origins: ReadonlyMap<number, Origin>,
    ends: readonly (readonly number[])[],
    missing: Set<number>,
    report: (what: string) => void
  ) {
    this.partition = partition
    this.origins = origins
    this.ends = ends
    this.missing = missing
    this.report = report
    this.times = ends.map(channels => channels.map(() => Number.NEGATIVE_INFINITY))
  }

  read(): Stage {
    for (const { record } of this.partition.all()) {
      this.envelope.stand(record.value, 0, record.value.length)
      if (this.envelope.kind === RECORD) this.event(JSON.parse(text.decode(record.value.subarray(ENVELOPE))) as Event)
      else if (this.envelope.kind === WATERMARK) this.watermark()
    }
    this.ends.forEach((channels, side) => {
      channels.forEach((end, channel) => {
        if (this.times[side]![channel] !== end)
          this.report(`${this.where} ends at ${this.times[side]![channel]} of channel ${channel}, not at ${end}`)
      })
    })
    return { steps: this.steps, watermark: this.now }
  }

  private get where(): string {
    return `stage ${nameOf(this.partition)}`
  }

  /** The least of all. */
  private get now(): number {
    return Math.min(...this.times.flat())
  }

  private watermark(): void {
    const { exchange, channel, watermark } = this.envelope
    const times = this.times[exchange]!
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
