import { type Batch, OUTPUT_STRIDE, type Outputs, type Position, STRIDE } from "@headrace/engine"
import type { Feed } from "../feed.ts"

/** Who measures. */
export interface Watch {
  /** Called when a batch of the feed is handed over: `events` were before it. */
  readonly fed: (events: number) => void
  /** Called behind each transaction. */
  readonly committed: (log: MemoryLog) => void
}

/**
 * What a lane reads: a feed, and what its own stages send to each other. What it writes beside that is counted and not kept.
 * Each topic has one partition.
 */
export class MemoryLog {
  /** By topic: how many records it has or was sent, and how far the group has committed. */
  readonly ends: Map<string, number>
  readonly committed = new Map<string, number>()
  /** The topics that a lane reads. Their ids are places here. */
  read: readonly string[]
  private readonly feed: Feed
  private readonly watch: Watch
  private readonly between: Batch[] = []
  private batches = 0
  private events = 0
  private wake: (() => void) | undefined

  constructor(feed: Feed, watch: Watch) {
    this.feed = feed
    this.watch = watch
    this.read = feed.topics
    this.ends = new Map(feed.topics.map((topic, i) => [topic, feed.ends[i]!]))
  }

  /** What is read next: of a later stage first, so that nothing piles up between two. */
  next(): Batch | undefined {
    return this.between.shift() ?? this.nextOfFeed()
  }

  /** Calls once when there may be more to read. */
  whenMore(wake: () => void): void {
    this.wake = wake
  }

  /** Whether all that is to be read has been committed. */
  get done(): boolean {
    return this.read.every(topic => (this.committed.get(topic) ?? 0) === (this.ends.get(topic) ?? 0))
  }

  /** A transaction ends: what it wrote for the next stage can be read. */
  commit(batches: readonly Batch[], offsets: readonly Position[]): void {
    for (const { topic, offset } of offsets) this.committed.set(topic, offset)
    this.between.push(...batches)
    this.watch.committed(this)
    this.wake?.()
  }

  /**
   * Of records that a lane wrote to the topics `written`, those that it reads again. They get their offsets, so they are
   * committed in the order of these calls.
   */
  readBack(outputs: Outputs, written: readonly string[]): readonly Batch[] {
    const places = written.map(topic => this.read.indexOf(topic))
    const next = written.map(topic => this.ends.get(topic) ?? 0)
    const { index, count, stamps } = outputs
    const ownIndex = new Int32Array(count * STRIDE)
    const ownStamps = new Float64Array(count * 2)
    let own = 0
    for (let i = 0; i < count; i++) {
      const from = i * OUTPUT_STRIDE
      const topic = index[from]!
      const offset = next[topic]!++
      if (places[topic]! < 0) continue
      const to = own * STRIDE
      for (let field = 1; field < STRIDE; field++) ownIndex[to + field] = index[from + field]!
      ownIndex[to] = places[topic]!
      ownStamps[own * 2] = offset
      ownStamps[own * 2 + 1] = stamps[i]!
      own++
    }
    for (const [topic, end] of next.entries()) this.ends.set(written[topic]!, end)
    if (own === 0) return []
    return [{ bytes: outputs.data.written().slice(), index: ownIndex, stamps: ownStamps, count: own }]
  }

  private nextOfFeed(): Batch | undefined {
    const batch = this.feed.batches[this.batches++]
    if (batch === undefined) return undefined
    this.watch.fed(this.events)
    this.events += batch.count
    return batch
  }
}
