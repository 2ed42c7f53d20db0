import {
  type Batch,
  type CommittedLog,
  type GroupChange,
  type LaneMetrics,
  nowMs,
  type Polled,
  type PreparedDecoder,
  STRIDE,
  VALUE_LENGTH,
  VALUE_START
} from "@headrace/engine"
import { Deferred, Effect } from "effect"
import { guarded, type Stop } from "./errors.ts"
import type { Holdings } from "./holdings.ts"
import { type Patience, patiently } from "./patience.ts"

const POLL_MS = 25

export interface ReaderParts {
  readonly topic: string
  readonly table: string
  readonly log: CommittedLog
  readonly decoder: PreparedDecoder
  readonly metrics: LaneMetrics
  readonly holdings: Holdings
  readonly patience: Patience
  readonly pollRecords: number
}

/** The reading fiber: the only one that calls the log (but for recovery), one call at a time. */
export class Reader {
  private readonly parts: ReaderParts
  private readonly calls: Effect.Effect<unknown>[] = []
  /** Undefined: some of the partitions are, some are not. */
  private paused: boolean | undefined = false

  constructor(parts: ReaderParts) {
    this.parts = parts
  }

  get run(): Effect.Effect<never, Stop> {
    return Effect.forever(
      Effect.suspend(() => this.turn()),
      { disableYield: true }
    )
  }

  /** Runs a call to the log between two polls. */
  onLog<A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.gen({ self: this }, function* () {
      const answer = yield* Deferred.make<A, E>()
      this.calls.push(Deferred.into(call, answer))
      return yield* Deferred.await(answer)
    })
  }

  /** Partitions were added that are not paused. */
  grown(): void {
    this.paused = undefined
  }

  /** Fetches the writer schemas that are new; waits while the registry does not answer. */
  prepare(batch: Batch): Effect.Effect<void> {
    const { decoder } = this.parts
    const unknown = new Set<number>()
    for (let i = 0; i < batch.count; i++) {
      const at = i * STRIDE
      const id = decoder.schemaId(
        batch.bytes,
        batch.index[at + VALUE_START]!,
        Math.max(0, batch.index[at + VALUE_LENGTH]!)
      )
      if (id >= 0 && !decoder.knows(id)) unknown.add(id)
    }
    return unknown.size === 0 ? Effect.void : Effect.forEach(unknown, id => this.learn(id), { discard: true })
  }

  private turn = Effect.fnUntraced(function* (this: Reader): Effect.fn.Return<void, Stop> {
    const { log, patience, pollRecords } = this.parts
    while (this.calls.length > 0) yield* this.calls.shift()!
    yield* this.pauseOrResume()
    const polled = yield* patience.withLog(log.poll(pollRecords, POLL_MS))
    for (const change of polled.changes) yield* this.changed(change)
    yield* this.take(polled)
  }).bind(this)

  /** Backpressure: goes on polling, so that the group sees a living member, but gets no records. */
  private pauseOrResume(): Effect.Effect<void, Stop> {
    const { holdings, topic, log, patience } = this.parts
    const { full, owned } = holdings.intake
    if (full === this.paused) return Effect.void
    this.paused = full
    const all = [...owned].map(partition => ({ topic, partition }))
    return patience.withLog(full ? log.pause(all) : log.resume(all))
  }

  private changed(change: GroupChange): Effect.Effect<void, Stop> {
    const { holdings, log, patience } = this.parts
    const partitions = change.partitions.map(({ partition }) => partition)
    if (change.type === "assign") holdings.give(partitions, "assign")
    else for (const partition of partitions) holdings.forget(partition)
    if (holdings.none) patience.phase(change.type === "lost" ? "joining" : "spare")
    return change.type === "assign" ? Effect.void : patience.withLog(log.unassign(change.partitions))
  }

  private take = Effect.fnUntraced(function* (this: Reader, { batch }: Polled): Effect.fn.Return<void, Stop> {
    if (batch.count === 0) return
    const { holdings, metrics } = this.parts
    yield* this.prepare(batch)
    const now = yield* nowMs
    yield* guarded(() => metrics.add("recordsIn", holdings.intake.add(batch, now)))
    holdings.gauge()
  }).bind(this)

  /** A schema that cannot be had stays unknown; its first record then says so, with its position. */
  private learn(id: number): Effect.Effect<void> {
    return this.parts.decoder.prepare(id).pipe(
      Effect.tapError(error => Effect.logWarning(`${this.parts.table}: ${error.message}`)),
      Effect.retry({ schedule: patiently, while: error => error.waiting }),
      Effect.ignore
    )
  }
}
