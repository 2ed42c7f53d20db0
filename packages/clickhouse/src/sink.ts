import type { CommittedLog, LaneMetrics, LostOffsets, PreparedDecoder } from "@headrace/engine"
import { Effect } from "effect"
import { Adoption } from "./adoption.ts"
import { Delivery } from "./delivery.ts"
import { ClickHouseError } from "./errors.ts"
import { Holdings } from "./holdings.ts"
import { type AppendRecord, Intake } from "./intake.ts"
import { watchLag } from "./lag.ts"
import { Patience } from "./patience.ts"
import { Reader } from "./reader.ts"
import type { Target } from "./target.ts"

export interface SinkOptions {
  /** A block goes once its first row has waited this long: most of the time until a row can be queried. Default 500. */
  readonly intervalMs?: number
  /** A block goes at once when it is this large. About twice as much is held in memory at most. Default 16 MiB. */
  readonly blockBytes?: number
  /** Default 20,000. */
  readonly pollRecords?: number
  /** What becomes of a committed offset that retention took. Default "stop". */
  readonly lost?: LostOffsets
  /** How long the group may contradict ledger and table before the sink stops (`Diverged`). ms; default 30,000. */
  readonly doubtMs?: number
}

export interface SinkParts {
  readonly topic: string
  readonly table: string
  readonly log: CommittedLog
  readonly target: Target
  readonly decoder: PreparedDecoder
  readonly append: AppendRecord
  readonly metrics: LaneMetrics
  readonly options?: SinkOptions
}

/**
 * Moves committed records into the table, exactly once, until it is interrupted. Two fibers, and one for a figure (lag.ts):
 * one polls and encodes (reader.ts), the other takes a block at a time through plan → insert → ledger (delivery.ts):
 *
 *  1. The plan of the block is committed to the group: for each of its partitions the offset of its first record, and
 *     beside it as metadata the whole plan. One request, fenced by the group.
 *  2. The block is inserted, with a token made of the plan, until the server says yes.
 *  3. The ends of its ranges go into the ledger. The next plan's commit moves the offsets on.
 *
 * Whoever is assigned any partition of an unfinished block reads ALL its ranges again (by a reader outside of the
 * group, since others may own some of them) and sends the same block with the same token (adoption.ts). Should several
 * do that at once, or a zombie wake up, the token or the ledger drops what is there.
 *
 * Time and chance are the fiber's (`Clock`, `Random`), so that a simulation can have them.
 */
export const runSink = (parts: SinkParts): Effect.Effect<never, ClickHouseError> =>
  Effect.suspend(() => {
    const { table, metrics, options = {} } = parts
    const { blockBytes = 16 << 20, intervalMs = 500, pollRecords = 20_000, lost = "stop", doubtMs = 30_000 } = options
    const holdings = new Holdings(new Intake(parts.append, blockBytes, intervalMs), metrics)
    const patience = new Patience(table, metrics)
    const reader = new Reader({ ...parts, holdings, patience, pollRecords })
    const delivery = new Delivery({ ...parts, holdings, patience, reader })
    const insert = delivery.resend.bind(delivery)
    const adoption = new Adoption({ ...parts, holdings, patience, reader, lost, doubtMs, insert })
    patience.phase("joining")
    const lag = watchLag({ ...parts, holdings, reader })
    return Effect.all([reader.run, delivery.run(() => adoption.run()), lag], { concurrency: "unbounded" }).pipe(
      Effect.ensuring(Effect.suspend(() => delivery.settle)),
      Effect.flatMap(() => Effect.never),
      Effect.mapError(reason => new ClickHouseError({ table, reason }))
    )
  })
