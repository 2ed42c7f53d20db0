import { type Batch, type CommittedLog, type LaneMetrics, type Mark, nowMs } from "@headrace/engine"
import { Effect } from "effect"
import { type Block, blockOf, describe, type PartitionRows, type Plan, planText, rowsOf } from "./block.ts"
import type { Stop } from "./errors.ts"
import type { Holdings } from "./holdings.ts"
import { type Patience, passes, stopped } from "./patience.ts"
import type { Reader } from "./reader.ts"
import type { Target } from "./target.ts"

const IDLE_MS = 5_000
const TICK = "10 millis"

export interface DeliveryParts {
  readonly topic: string
  readonly table: string
  readonly log: CommittedLog
  readonly target: Target
  readonly metrics: LaneMetrics
  readonly holdings: Holdings
  readonly patience: Patience
  readonly reader: Reader
}

/** The delivering fiber: takes a block at a time through plan → insert → ledger. */
export class Delivery {
  private readonly parts: DeliveryParts
  private finishedAt = 0

  constructor(parts: DeliveryParts) {
    this.parts = parts
  }

  /** `adopt` takes up the partitions that are pending; called whenever some are. */
  run(adopt: () => Effect.Effect<void, Stop>): Effect.Effect<never, Stop> {
    return Effect.forever(
      Effect.flatMap(nowMs, now => this.next(now, adopt)),
      { disableYield: true }
    )
  }

  /** Sends an open block of somebody before. */
  resend(plan: Plan, rows: readonly PartitionRows[]): Effect.Effect<void, Stop> {
    return this.insert({ ...blockOf(rows), plan })
  }

  /** Tells the group that everything so far is in the table: nothing open, and no lag to be seen. Failing costs nothing. */
  get settle(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { topic, log, holdings } = this.parts
      if (holdings.settled.size === 0) return Effect.void
      const marks = [...holdings.settled].map(([partition, offset]) => ({ topic, partition, offset, metadata: "" }))
      holdings.settled.clear()
      return log.commit(marks).pipe(Effect.catch(error => Effect.logDebug(error.message)))
    })
  }

  private next(now: number, adopt: () => Effect.Effect<void, Stop>): Effect.Effect<void, Stop> {
    const { pending, intake } = this.parts.holdings
    if (pending.size > 0) return adopt()
    if (intake.due(now)) return this.deliverBlock()
    if (intake.empty && now - this.finishedAt > IDLE_MS) return this.settleWhenIdle(now)
    return Effect.sleep(TICK)
  }

  // ── a block ────────────────────────────────────────────────────────────────────────────────────────────────────

  private deliverBlock(): Effect.Effect<void, Stop> {
    const { holdings } = this.parts
    const block = holdings.intake.seal()
    if (block === undefined) return Effect.void
    return Effect.flatMap(this.commitPlan(block), committed =>
      committed ? this.finish(block) : Effect.sync(() => holdings.abandon(block.plan.ranges))
    )
  }

  /** Repeated while the outcome is open. False: the group moved on, the plan may or may not be there. */
  private commitPlan(block: Block): Effect.Effect<boolean, Stop> {
    const { holdings, reader, log, patience } = this.parts
    holdings.planning(block)
    const attempt = reader.onLog(
      Effect.suspend(() =>
        holdings.planBroken ? Effect.succeed(false) : Effect.as(log.commit(this.marks(block)), true)
      )
    )
    return patience.repeated(attempt, passes).pipe(
      Effect.catch(error => (error.failure === "Fenced" ? Effect.succeed(false) : Effect.fail(stopped(error)))),
      Effect.ensuring(Effect.sync(() => holdings.planned()))
    )
  }

  private marks({ plan }: Block): readonly Mark[] {
    const metadata = planText(plan)
    return plan.ranges.map(({ partition, first }) => ({ topic: this.parts.topic, partition, offset: first, metadata }))
  }

  private finish = Effect.fnUntraced(function* (this: Delivery, block: Block): Effect.fn.Return<void, Stop> {
    const { metrics, holdings } = this.parts
    const started = yield* nowMs
    yield* this.insert(block)
    this.finishedAt = yield* nowMs
    metrics.add("recordsOut", rowsOf(block))
    metrics.commitTook(this.finishedAt - started)
    holdings.finished(block)
  }).bind(this)

  private insert(block: Block): Effect.Effect<void, Stop> {
    const { target, topic, table, patience } = this.parts
    const what = `${rowsOf(block)} rows (${describe(topic, block.plan)})`
    return Effect.andThen(
      patience.withServer(target.insert(block), `${table} refused ${what}`),
      patience.withServer(target.record(block.plan), `the ledger refused the end of ${what}`)
    )
  }

  // ── nothing to do ──────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Retention removes the markers behind the last record with it, and a mark before them would then look like rows that
   * were lost: so the group is told where they end.
   */
  private settleWhenIdle = Effect.fnUntraced(function* (this: Delivery, now: number): Effect.fn.Return<void> {
    const { holdings, reader } = this.parts
    this.finishedAt = now
    for (const [partition, offset] of [...holdings.done])
      yield* Effect.catch(this.passMarkers(partition, offset), error => Effect.logDebug(error.message))
    if (holdings.settled.size > 0) yield* reader.onLog(this.settle)
  }).bind(this)

  /** Reads from the position to the end, which proves that no record stands there. */
  private passMarkers = Effect.fnUntraced(function* (
    this: Delivery,
    partition: number,
    offset: number
  ): Effect.fn.Return<void, { readonly message: string }> {
    const { log, topic, holdings, reader } = this.parts
    const { start, end } = yield* reader.onLog(log.range({ topic, partition }))
    if (end <= offset || start > offset) return
    const found = (batch: Batch) => (batch.count === 0 ? Effect.void : Effect.fail(new Error("a record follows")))
    yield* log.read({ topic, partition, offset }, end - 1, found)
    if (holdings.done.get(partition) === offset) holdings.reached(partition, end)
  }).bind(this)
}
