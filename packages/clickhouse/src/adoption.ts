import {
  type Batch,
  type CommittedLog,
  type LaneMetrics,
  type LostOffsets,
  nowMs,
  type Position
} from "@headrace/engine"
import { Effect } from "effect"
import { describe, PartitionRows, type Plan, type Range } from "./block.ts"
import { Eaten, guarded, type Stop } from "./errors.ts"
import type { Assignment, Holdings } from "./holdings.ts"
import type { AppendRecord } from "./intake.ts"
import type { Patience } from "./patience.ts"
import type { Reader } from "./reader.ts"
import { openPlans, type Start, startOf } from "./starts.ts"
import type { Target } from "./target.ts"

export interface AdoptionParts {
  readonly topic: string
  readonly table: string
  readonly log: CommittedLog
  readonly target: Target
  readonly append: AppendRecord
  readonly metrics: LaneMetrics
  readonly holdings: Holdings
  readonly patience: Patience
  readonly reader: Reader
  readonly lost: LostOffsets
  /** How long the group may contradict ledger and table before a person must look at it. ms */
  readonly doubtMs: number
  /** Inserts an open block again: the same plan, the same rows. */
  readonly insert: (plan: Plan, rows: readonly PartitionRows[]) => Effect.Effect<void, Stop>
}

const AGAIN_MS = 1_000

interface Adopted extends Start {
  readonly assignment: Assignment
}

/** Takes up partitions that the group gave: their open blocks are sent again before anything new is read. */
export class Adoption {
  private readonly parts: AdoptionParts

  constructor(parts: AdoptionParts) {
    this.parts = parts
  }

  run = Effect.fnUntraced(function* (this: Adoption): Effect.fn.Return<void, Stop> {
    const { reader, metrics, patience, holdings } = this.parts
    patience.phase("restoring")
    const starts = yield* this.agreed()
    for (const plan of openPlans(starts)) yield* this.recover(plan)
    yield* reader.onLog(this.begin(starts))
    for (const start of starts) yield* this.leaveBehind(start)
    metrics.add("restores", 1)
    // All that was given may have been taken away again meanwhile; the reader has said so.
    if (!holdings.none) patience.phase("running")
  }).bind(this)

  /**
   * A contradiction may pass: a coordinator that has not read its whole log answers with older offsets, or none
   * (docs/guarantees.md, Brokers that forget). So all are asked again for a while, of what is still to be taken up.
   */
  private agreed(): Effect.Effect<readonly Adopted[], Stop> {
    const doubt = {}
    return Effect.ensuring(
      this.asked(doubt),
      Effect.sync(() => this.parts.patience.gotOn(doubt))
    )
  }

  private asked = Effect.fnUntraced(function* (
    this: Adoption,
    doubt: object
  ): Effect.fn.Return<readonly Adopted[], Stop> {
    const { holdings, patience, doubtMs } = this.parts
    const deadline = (yield* nowMs) + doubtMs
    for (;;) {
      // Before asking: who stood still in between has not waited.
      const last = (yield* nowMs) > deadline
      const starts = yield* this.startsOf(new Map(holdings.pending)).pipe(
        Effect.catchTag("Diverged", error =>
          last ? Effect.fail(error) : Effect.as(patience.waiting(doubt, error), undefined)
        )
      )
      if (starts !== undefined) return starts
      yield* Effect.sleep(`${AGAIN_MS} millis`)
    }
  }).bind(this)

  /**
   * ClickHouse and the log's beginning are asked before the group, since all go forward: asked after it they could be
   * ahead of it where somebody else works on, and that would look like a contradiction.
   */
  private startsOf = Effect.fnUntraced(function* (
    this: Adoption,
    assignments: ReadonlyMap<number, Assignment>
  ): Effect.fn.Return<readonly Adopted[], Stop> {
    const { log, target, topic, table, lost, patience, reader } = this.parts
    const named = [...assignments.keys()].map(partition => ({ topic, partition }))
    const finished = yield* patience.withServer(target.finished, "the ledger cannot be read")
    const from = new Map(named.map(({ partition }) => [partition, finished.get(partition) ?? 0]))
    const held = yield* patience.withServer(target.held(from), `${table} cannot be read`)
    const ranges = yield* Effect.forEach(named, one => patience.withLog(reader.onLog(log.range(one))))
    const committed = yield* patience.withLog(reader.onLog(log.committed(named)))
    return yield* guarded(() =>
      [...assignments].map(([partition, assignment], i) => {
        const known = { partition, finished: finished.get(partition), held: held.get(partition) }
        return { ...startOf(topic, { ...known, committed: committed[i], ...ranges[i]! }, lost), assignment }
      })
    )
  }).bind(this)

  /** Says what retention took, and tells the group where to go on, so that it is not left behind again. */
  private leaveBehind({ partition, offset, lostFrom }: Start): Effect.Effect<void> {
    const { metrics, topic, lost, table, holdings } = this.parts
    if (lostFrom === undefined || !holdings.owns(partition)) return Effect.void
    metrics.add("lostOffsets", offset - lostFrom)
    holdings.settled.set(partition, offset)
    return Effect.logError(
      `${table}: offset ${lostFrom} of ${topic}[${partition}] is no longer in the log: retention deleted records before they were in the table. ` +
        `By offsets.lost: ${lost} it goes on at ${offset}.`
    )
  }

  /** Starts what was not taken away meanwhile, not even for a moment. Runs in the reading fiber. */
  private begin(starts: readonly Adopted[]): Effect.Effect<void, Stop> {
    return Effect.suspend(() => {
      const { log, holdings, patience, reader } = this.parts
      const still = starts.filter(({ partition, assignment }) => holdings.pending.get(partition) === assignment)
      const assigned = still.filter(({ assignment }) => assignment.how === "assign")
      const sought = still.filter(({ assignment }) => assignment.how === "seek")
      const assign = assigned.length === 0 ? Effect.void : patience.withLog(log.assign(this.positions(assigned)))
      const seek = sought.length === 0 ? Effect.void : patience.withLog(log.seek(this.positions(sought)))
      return Effect.andThen(
        Effect.andThen(assign, seek),
        Effect.sync(() => {
          holdings.own(still)
          reader.grown()
        })
      )
    })
  }

  private positions(starts: readonly Start[]): readonly Position[] {
    return starts.map(({ partition, offset }) => ({ topic: this.parts.topic, partition, offset }))
  }

  /** Sends an open block again: the same rows, the same token. */
  private recover = Effect.fnUntraced(function* (this: Adoption, plan: Plan): Effect.fn.Return<void, Stop> {
    const { table, topic, insert } = this.parts
    yield* Effect.logInfo(`${table}: sending again ${describe(topic, plan)}`)
    yield* insert(plan, yield* Effect.forEach(plan.ranges, range => this.reread(range)))
  }).bind(this)

  private reread(range: Range): Effect.Effect<PartitionRows, Stop> {
    const { log, topic, patience, reader } = this.parts
    const { partition, first, last } = range
    return patience
      .withLog(
        Effect.suspend(() => {
          const rows = new PartitionRows(partition)
          const visit = (batch: Batch) =>
            Effect.andThen(
              reader.prepare(batch),
              guarded(() => this.takeRange(rows, batch, range))
            )
          return Effect.as(log.read({ topic, partition, offset: first }, last, visit), rows)
        })
      )
      .pipe(
        Effect.filterOrFail(
          rows => same(rows.range(), range),
          rows => incomplete(topic, range, rows)
        )
      )
  }

  private takeRange(rows: PartitionRows, batch: Batch, { first, last }: Range): void {
    for (let i = 0; i < batch.count; i++) {
      const offset = batch.stamps[i * 2]!
      if (offset >= first && offset <= last) this.parts.append(rows, batch, i)
    }
  }
}

const same = (found: Range, range: Range): boolean =>
  found.first === range.first && found.last === range.last && found.rows === range.rows

const incomplete = (topic: string, { partition, first, last, rows }: Range, found: PartitionRows): Eaten =>
  new Eaten({
    message: `${topic}[${partition}]: an unfinished block of ${rows} rows from offset ${first} to ${last} must be sent again, but the log gives ${found.rows}. Retention or compaction has eaten the others; a compacted topic cannot be delivered exactly once`
  })
