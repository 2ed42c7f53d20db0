import { avroCodecsOver } from "@headrace/avro"
import { MemorySpill } from "@headrace/core"
import {
  Blobs,
  type JobConfig,
  type LaneHandle,
  LaneMetrics,
  runLaneJob,
  Spill,
  sinkTopics,
  sourceTopics
} from "@headrace/engine"
import { Effect, Layer, References, Stream } from "effect"
import { type Pipeline, toPlan } from "headrace"
import { type Feed, feedOf } from "../feed.ts"
import type { NexmarkOptions } from "../generator/options.ts"
import { memoryClients } from "./clients.ts"
import { MemoryLog, type Watch } from "./log.ts"
import { memoryRegistry } from "./registry.ts"

/** What a query took, behind the first part of its events. */
export interface Rate {
  readonly events: number
  readonly seconds: number
  /** Of the process, all threads: the collector's and the compiler's too. */
  readonly cpuSeconds: number
  /** Records that it wrote to its sinks, of all events. */
  readonly results: number
}

/** Part of the events that is not measured: code is being compiled. */
const WARM_UP = 0.2

/** Runs a query over so many events in a lane in this thread, with its log in memory. */
export const runInMemory = (query: Pipeline.Pipeline<never>, options: NexmarkOptions, count: number): Promise<Rate> =>
  Effect.runPromise(
    measured(query, options, count).pipe(
      Effect.provide(avroCodecsOver.pipe(Layer.provide(memoryRegistry))),
      // Topics that are created are no news here.
      Effect.provideService(References.MinimumLogLevel, "Warn")
    )
  )

const measured = (query: Pipeline.Pipeline<never>, options: NexmarkOptions, count: number) =>
  Effect.gen(function* () {
    const plan = toPlan(query)
    const feed = yield* feedOf(sourceTopics(plan), options, count)
    let lane: LaneHandle | undefined
    const watch = new Measure(feed, () => lane?.offer({ type: "stop" }))
    const log = new MemoryLog(feed, watch)
    yield* runLaneJob({ plan, job: jobOf(plan.name), lane: 0, metrics: new LaneMetrics() }, handle => {
      lane = handle
    }).pipe(Effect.provide(Layer.mergeAll(memoryClients(log), noCheckpoints, spill)))
    const results = sinkTopics(plan).reduce((sum, topic) => sum + (log.ends.get(topic) ?? 0), 0)
    return { ...watch.rate(), results }
  })

interface Mark {
  readonly events: number
  readonly at: number
  readonly cpuMs: number
}

/**
 * From a batch of the feed until all that was read is committed, by later stages too: those may be behind by a transaction.
 * What the last one waits for is in it, and is little: with nothing more to read the lane commits at once.
 */
class Measure implements Watch {
  private readonly feed: Feed
  private readonly onEnd: () => void
  private readonly total: number
  private first: Mark | undefined
  private last: Mark | undefined

  constructor(feed: Feed, onEnd: () => void) {
    this.feed = feed
    this.onEnd = onEnd
    this.total = feed.ends.reduce((sum, end) => sum + end, 0)
  }

  fed(events: number): void {
    if (events >= WARM_UP * this.total) this.first ??= mark(events)
  }

  committed({ done }: MemoryLog): void {
    if (!done) return
    this.last ??= mark(this.total)
    this.onEnd()
  }

  rate(): Omit<Rate, "results"> {
    const { first, last } = this
    if (first === undefined || last === undefined)
      throw new Error(
        `${this.feed.ends.join(" + ")} events are too few to measure: they come in ${this.feed.batches.length} batches`
      )
    return {
      events: last.events - first.events,
      seconds: (last.at - first.at) / 1000,
      cpuSeconds: (last.cpuMs - first.cpuMs) / 1000
    }
  }
}

const mark = (events: number): Mark => {
  const { user, system } = process.cpuUsage()
  return { events, at: performance.now(), cpuMs: (user + system) / 1000 }
}

const NOTHING = "Nothing is stored here"
const noCheckpoints: Layer.Layer<Blobs> = Layer.succeed(
  Blobs,
  Blobs.of({
    list: () => Effect.succeed([]),
    read: () => Stream.die(new Error(NOTHING)),
    put: () => Effect.die(new Error(NOTHING)),
    remove: () => Effect.void
  })
)

/** Never used: the bound on state is beyond what a run makes. */
const spill: Layer.Layer<Spill> = Layer.succeed(Spill, Spill.of({ open: () => new MemorySpill() }))

const jobOf = (app: string): JobConfig => ({
  app,
  instance: "memory",
  module: "",
  lanes: 1,
  kafka: { bootstrap: "", settings: {} },
  registry: { url: "" },
  commitIntervalMs: 25,
  checkpoint: { store: { directory: "" }, intervalMs: 60_000, retained: 2 },
  state: { laneBytes: 16e9, directory: "", full: "stop" },
  sessionTimeoutMs: 10_000,
  lostOffsets: "stop",
  standby: 0,
  replication: 1
})
