import {
  type Batch,
  type CommittedLog,
  type GroupChange,
  type LaneMetrics,
  type LogError,
  type LostOffsets,
  type Mark,
  PHASES,
  type Phase,
  type Polled,
  type Position,
  type PreparedDecoder,
  STRIDE,
  VALUE_LENGTH,
  VALUE_START
} from "@headrace/engine"
import { Deferred, Effect, Schedule } from "effect"
import { type Block, blockOf, describe, PartitionRows, type Plan, planText, type Range, rowsOf } from "./block.ts"
import {
  type BadRecord,
  ClickHouseError,
  type ClickHouseReason,
  type Diverged,
  Eaten,
  LogGone,
  LogStopped,
  Refused
} from "./errors.ts"
import { type AppendRecord, Intake } from "./intake.ts"
import type { CallError } from "./server.ts"
import { openPlans, type Start, startOf } from "./starts.ts"
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

const POLL_MS = 25
const IDLE_MS = 5_000
const TICK = "10 millis"
const patiently = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]).pipe(
  Schedule.jittered
)

/**
 * Moves committed records into the table, exactly once, until it is interrupted. Two fibers: one polls and encodes,
 * the other takes a block at a time through plan → insert → ledger:
 *
 *  1. The plan of the block is committed to the group: for each of its partitions the offset of its first record, and
 *     beside it as metadata the whole plan. One request, fenced by the group.
 *  2. The block is inserted, with a token made of the plan, until the server says yes.
 *  3. The ends of its ranges go into the ledger. The next plan's commit moves the offsets on.
 *
 * Whoever is assigned any partition of an unfinished block reads ALL its ranges again (by a reader outside of the
 * group, since others may own some of them) and sends the same block with the same token. Should several do that at
 * once, or a zombie wake up, the token or the ledger drops what is there.
 */
export const runSink = (parts: SinkParts): Effect.Effect<never, ClickHouseError> =>
  Effect.suspend(() => {
    const sink = new Sink(parts)
    return Effect.all([sink.read, sink.deliver], { concurrency: "unbounded" }).pipe(
      Effect.ensuring(Effect.suspend(() => sink.settle)),
      Effect.flatMap(() => Effect.never),
      Effect.mapError(reason => failure(parts.table, reason))
    )
  })

const failure = (table: string, reason: ClickHouseReason): ClickHouseError => new ClickHouseError({ table, reason })

/**
 * One giving of a partition to this sink, an object of its own: what was found out for one holds for no other, since
 * in between others may have worked on the partition. `seek`: reading it already, its position is to be set anew.
 */
interface Assignment {
  readonly how: "assign" | "seek"
}

interface Adopted extends Start {
  readonly assignment: Assignment
}

type Stop = Refused | BadRecord | Eaten | Diverged | LogStopped | LogGone

class Sink {
  private readonly parts: SinkParts
  private readonly intake: Intake
  /** Assigned, but not begun: their committed plans come first. */
  private readonly pending = new Map<number, Assignment>()
  /** The block whose plan is being committed, while that is not certain. */
  private uncertain: Block | undefined
  private broken = false
  private readonly calls: Effect.Effect<unknown>[] = []
  /** Ends of finished blocks that no commit has told the group yet. */
  private readonly settled = new Map<number, number>()
  /** The next offset of what is owned, as far as it is in the table. */
  private readonly done = new Map<number, number>()
  private finishedAt = 0
  /** Undefined: some of the partitions are, some are not. */
  private paused: boolean | undefined = false

  constructor(parts: SinkParts) {
    this.parts = parts
    const { blockBytes = 16 << 20, intervalMs = 500 } = parts.options ?? {}
    this.intake = new Intake(parts.append, blockBytes, intervalMs)
    this.phase("joining")
  }

  // ── the reading fiber: the only one that calls the log (but for recovery) ──────────────────────────────────────

  get read(): Effect.Effect<never, Stop> {
    return Effect.forever(
      Effect.suspend(() => this.turn()),
      { disableYield: true }
    )
  }

  private turn = Effect.fnUntraced(function* (this: Sink): Effect.fn.Return<void, Stop> {
    while (this.calls.length > 0) yield* this.calls.shift()!
    yield* this.pauseOrResume()
    const polled = yield* this.withLog(this.parts.log.poll(this.parts.options?.pollRecords ?? 20_000, POLL_MS))
    for (const change of polled.changes) yield* this.changed(change)
    yield* this.take(polled)
  }).bind(this)

  /** Backpressure: goes on polling, so that the group sees a living member, but gets no records. */
  private pauseOrResume(): Effect.Effect<void, Stop> {
    const { full } = this.intake
    if (full === this.paused) return Effect.void
    this.paused = full
    const owned = this.topicPartitions([...this.intake.owned])
    return this.withLog(full ? this.parts.log.pause(owned) : this.parts.log.resume(owned))
  }

  private changed(change: GroupChange): Effect.Effect<void, Stop> {
    const partitions = change.partitions.map(({ partition }) => partition)
    if (change.type === "assign") {
      for (const partition of partitions) this.pending.set(partition, { how: "assign" })
      // Nothing more, or nothing at all: the group waits for an answer to that, too.
      return partitions.length === 0 ? this.withLog(this.parts.log.assign([])) : Effect.void
    }
    for (const partition of partitions) this.forget(partition)
    return this.withLog(this.parts.log.unassign(change.partitions))
  }

  private forget(partition: number): void {
    this.pending.delete(partition)
    this.settled.delete(partition)
    this.done.delete(partition)
    this.intake.drop(partition)
    if (this.uncertain?.plan.ranges.some(range => range.partition === partition)) this.broken = true
    this.gauge()
  }

  private take(polled: Polled): Effect.Effect<void, Stop> {
    if (polled.batch.count === 0) return Effect.void
    const add = this.guarded(() => this.parts.metrics.add("recordsIn", this.intake.add(polled.batch)))
    return Effect.andThen(
      this.prepare(polled.batch),
      Effect.andThen(
        add,
        Effect.sync(() => this.gauge())
      )
    )
  }

  /** Fetches the writer schemas that are new; waits while the registry does not answer. */
  private prepare(batch: Batch): Effect.Effect<void> {
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

  /** A schema that cannot be had stays unknown; its first record then says so, with its position. */
  private learn(id: number): Effect.Effect<void> {
    return this.parts.decoder.prepare(id).pipe(
      Effect.tapError(error => Effect.logWarning(`${this.parts.table}: ${error.message}`)),
      Effect.retry({ schedule: patiently, while: error => error.waiting }),
      Effect.ignore
    )
  }

  /** Runs a call to the log in the reading fiber, between two polls: one call at a time. */
  private onLog<A, E>(call: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return Effect.gen({ self: this }, function* () {
      const answer = yield* Deferred.make<A, E>()
      this.calls.push(Deferred.into(call, answer))
      return yield* Deferred.await(answer)
    })
  }

  // ── the delivering fiber ──────────────────────────────────────────────────────────────────────────────────────

  get deliver(): Effect.Effect<never, Stop> {
    return Effect.forever(
      Effect.suspend(() => this.next()),
      { disableYield: true }
    )
  }

  private next(): Effect.Effect<void, Stop> {
    const now = performance.now()
    if (this.pending.size > 0) return this.adopt()
    if (this.intake.due(now)) return this.deliverBlock()
    if (this.intake.empty && now - this.finishedAt > IDLE_MS) return this.settleWhenIdle(now)
    return Effect.sleep(TICK)
  }

  /**
   * Retention removes the markers behind the last record with it, and a mark before them would then look like rows that
   * were lost: so the group is told where they end.
   */
  private settleWhenIdle = Effect.fnUntraced(function* (this: Sink, now: number): Effect.fn.Return<void> {
    this.finishedAt = now
    for (const [partition, offset] of [...this.done])
      yield* Effect.catch(this.passMarkers(partition, offset), error => Effect.logDebug(error.message))
    if (this.settled.size > 0) yield* this.onLog(this.settle)
  }).bind(this)

  /** Reads from the position to the end, which proves that no record stands there. */
  private passMarkers = Effect.fnUntraced(function* (
    this: Sink,
    partition: number,
    offset: number
  ): Effect.fn.Return<void, { readonly message: string }> {
    const { log, topic } = this.parts
    const { start, end } = yield* this.onLog(log.range({ topic, partition }))
    if (end <= offset || start > offset) return
    const found = (batch: Batch) => (batch.count === 0 ? Effect.void : Effect.fail(new Error("a record follows")))
    yield* log.read({ topic, partition, offset }, end - 1, found)
    if (this.done.get(partition) !== offset) return
    this.done.set(partition, end)
    this.settled.set(partition, end)
  }).bind(this)

  private deliverBlock(): Effect.Effect<void, Stop> {
    const block = this.intake.seal()
    if (block === undefined) return Effect.void
    return Effect.flatMap(this.commitPlan(block), committed =>
      committed ? this.finish(block) : Effect.sync(() => this.abandon(block))
    )
  }

  /** Repeated while the outcome is open. False: the group moved on, the plan may or may not be there. */
  private commitPlan(block: Block): Effect.Effect<boolean, Stop> {
    this.uncertain = block
    this.broken = false
    // From here on the group may hold the plan: `settle` must not write over it.
    for (const { partition } of block.plan.ranges) this.settled.delete(partition)
    const attempt = this.onLog(
      Effect.suspend(() =>
        this.broken ? Effect.succeed(false) : Effect.as(this.parts.log.commit(this.marks(block)), true)
      )
    )
    return attempt.pipe(
      Effect.tapError(error => (passes(error) ? this.waiting(error) : Effect.void)),
      Effect.retry({ schedule: patiently, while: passes }),
      Effect.catch(error => (error.failure === "Fenced" ? Effect.succeed(false) : Effect.fail(stopped(error)))),
      Effect.ensuring(
        Effect.sync(() => {
          this.uncertain = undefined
        })
      )
    )
  }

  private marks({ plan }: Block): readonly Mark[] {
    const metadata = planText(plan)
    return plan.ranges.map(({ partition, first }) => ({ topic: this.parts.topic, partition, offset: first, metadata }))
  }

  /** What is still ours starts again from what the group says. */
  private abandon(block: Block): void {
    const ours = block.plan.ranges.filter(({ partition }) => this.intake.owned.has(partition))
    for (const { partition } of ours) {
      this.intake.drop(partition)
      this.settled.delete(partition)
      this.done.delete(partition)
      this.pending.set(partition, { how: "seek" })
    }
  }

  private finish(block: Block): Effect.Effect<void, Stop> {
    const started = performance.now()
    return Effect.map(this.insert(block), () => {
      for (const { partition, last } of block.plan.ranges)
        if (this.intake.owned.has(partition)) {
          this.settled.set(partition, last + 1)
          this.done.set(partition, last + 1)
        }
      this.finishedAt = performance.now()
      this.parts.metrics.add("recordsOut", rowsOf(block))
      this.parts.metrics.commitTook(this.finishedAt - started)
      this.phase("running")
      this.intake.recycle(block)
      this.gauge()
    })
  }

  private insert(block: Block): Effect.Effect<void, Stop> {
    const { target, topic, table } = this.parts
    const what = `${rowsOf(block)} rows (${describe(topic, block.plan)})`
    return Effect.andThen(
      this.withServer(target.insert(block), `${table} refused ${what}`),
      this.withServer(target.record(block.plan), `the ledger refused the end of ${what}`)
    )
  }

  // ── partitions that were just assigned ────────────────────────────────────────────────────────────────────────

  private adopt = Effect.fnUntraced(function* (this: Sink): Effect.fn.Return<void, Stop> {
    this.phase("restoring")
    const starts = yield* this.startsOf(new Map(this.pending))
    for (const plan of openPlans(starts)) yield* this.recover(plan)
    yield* this.onLog(this.begin(starts))
    for (const start of starts) yield* this.leaveBehind(start)
    this.parts.metrics.add("restores", 1)
    this.phase("running")
  }).bind(this)

  /**
   * ClickHouse and the log's beginning are asked before the group, since all go forward: asked after it they could be
   * ahead of it where somebody else works on, and that would look like a contradiction.
   */
  private startsOf = Effect.fnUntraced(function* (
    this: Sink,
    assignments: ReadonlyMap<number, Assignment>
  ): Effect.fn.Return<readonly Adopted[], Stop> {
    const { log, target, topic, options } = this.parts
    const lost = options?.lost ?? "stop"
    const named = this.topicPartitions([...assignments.keys()])
    const finished = yield* this.withServer(target.finished, "the ledger cannot be read")
    const from = new Map(named.map(({ partition }) => [partition, finished.get(partition) ?? 0]))
    const held = yield* this.withServer(target.held(from), `${this.parts.table} cannot be read`)
    const ranges = yield* Effect.forEach(named, partition => this.withLog(this.onLog(log.range(partition))))
    const committed = yield* this.withLog(this.onLog(log.committed(named)))
    return yield* this.guarded(() =>
      [...assignments].map(([partition, assignment], i) => {
        const known = { partition, finished: finished.get(partition), held: held.get(partition) }
        return { ...startOf(topic, { ...known, committed: committed[i], ...ranges[i]! }, lost), assignment }
      })
    )
  }).bind(this)

  /** Says what retention took, and tells the group where to go on, so that it is not left behind again. */
  private leaveBehind({ partition, offset, lostFrom }: Start): Effect.Effect<void> {
    if (lostFrom === undefined || !this.intake.owned.has(partition)) return Effect.void
    const { metrics, topic, options, table } = this.parts
    metrics.add("lostOffsets", offset - lostFrom)
    this.settled.set(partition, offset)
    return Effect.logError(
      `${table}: offset ${lostFrom} of ${topic}[${partition}] is no longer in the log: retention deleted records before they were in the table. ` +
        `By offsets.lost: ${options?.lost} it goes on at ${offset}.`
    )
  }

  /** Starts what was not taken away meanwhile, not even for a moment. Runs in the reading fiber. */
  private begin(starts: readonly Adopted[]): Effect.Effect<void, Stop> {
    return Effect.suspend(() => {
      const still = starts.filter(({ partition, assignment }) => this.pending.get(partition) === assignment)
      const assigned = still.filter(({ assignment }) => assignment.how === "assign")
      const sought = still.filter(({ assignment }) => assignment.how === "seek")
      const { log } = this.parts
      const assign = assigned.length === 0 ? Effect.void : this.withLog(log.assign(this.positions(assigned)))
      const seek = sought.length === 0 ? Effect.void : this.withLog(log.seek(this.positions(sought)))
      return Effect.andThen(
        Effect.andThen(assign, seek),
        Effect.sync(() => this.own(still))
      )
    })
  }

  private own(starts: readonly Start[]): void {
    for (const { partition, offset } of starts) {
      this.pending.delete(partition)
      this.done.set(partition, offset)
      this.intake.owned.add(partition)
    }
    this.paused = undefined
    this.gauge()
  }

  private positions(starts: readonly Start[]): readonly Position[] {
    return starts.map(({ partition, offset }) => ({ topic: this.parts.topic, partition, offset }))
  }

  /** Sends an open block again: the same rows, the same token. */
  private recover = Effect.fnUntraced(function* (this: Sink, plan: Plan): Effect.fn.Return<void, Stop> {
    yield* Effect.logInfo(`${this.parts.table}: sending again ${describe(this.parts.topic, plan)}`)
    const rows = yield* Effect.forEach(plan.ranges, range => this.reread(range))
    yield* this.insert({ ...blockOf(rows), plan })
  }).bind(this)

  private reread(range: Range): Effect.Effect<PartitionRows, Stop> {
    const { log, topic } = this.parts
    const { partition, first, last } = range
    return this.withLog(
      Effect.suspend(() => {
        const rows = new PartitionRows(partition)
        const visit = (batch: Batch) =>
          Effect.andThen(
            this.prepare(batch),
            this.guarded(() => this.takeRange(rows, batch, range))
          )
        return Effect.as(log.read({ topic, partition, offset: first }, last, visit), rows)
      })
    ).pipe(
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

  // ── seams ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Tells the group that everything so far is in the table: nothing open, and no lag to be seen. Failing costs nothing. */
  get settle(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.settled.size === 0) return Effect.void
      const { topic, log } = this.parts
      const marks = [...this.settled].map(([partition, offset]) => ({ topic, partition, offset, metadata: "" }))
      this.settled.clear()
      return log.commit(marks).pipe(Effect.catch(error => Effect.logDebug(error.message)))
    })
  }

  private withLog<A, E>(
    call: Effect.Effect<A, E | LogError>
  ): Effect.Effect<A, Exclude<E, LogError> | LogStopped | LogGone> {
    const once = call.pipe(
      Effect.tapError(error => (isLogError(error) && passes(error) ? this.waiting(error) : Effect.void))
    )
    return once.pipe(
      Effect.retry({ schedule: patiently, while: error => isLogError(error) && passes(error) }),
      Effect.mapError(error => (isLogError(error) ? stopped(error) : (error as Exclude<E, LogError>)))
    )
  }

  /** For ever, while the server may come back. */
  private withServer<A>(call: Effect.Effect<A, CallError>, what: string): Effect.Effect<A, Refused> {
    return call.pipe(
      Effect.tapError(error => (error._tag === "Unavailable" ? this.waiting(error) : Effect.void)),
      Effect.retry({ schedule: patiently, while: error => error._tag === "Unavailable" }),
      Effect.mapError(
        error =>
          new Refused({
            code: error._tag === "Refused" ? error.code : -1,
            message: `${what}: ${error.message}`,
            cause: error.cause
          })
      )
    )
  }

  private waiting(error: { readonly message: string }): Effect.Effect<void> {
    this.phase("waiting")
    return Effect.logWarning(`${this.parts.table}: waiting and trying again: ${error.message}`)
  }

  /** Plain code that throws the reasons for which the sink stops. */
  private guarded<A>(run: () => A): Effect.Effect<A, BadRecord | Eaten | Diverged> {
    return Effect.try({ try: run, catch: error => error as BadRecord | Eaten | Diverged })
  }

  private topicPartitions(partitions: readonly number[]) {
    return partitions.map(partition => ({ topic: this.parts.topic, partition }))
  }

  private phase(phase: Phase): void {
    this.parts.metrics.set("phase", PHASES.indexOf(phase))
  }

  private gauge(): void {
    this.parts.metrics.set("bufferedBytes", this.intake.bytes)
    this.parts.metrics.set("partitions", this.intake.owned.size)
  }
}

const isLogError = (error: unknown): error is LogError =>
  (error as { readonly _tag?: unknown } | null)?._tag === "LogError"

/** Repeating may help. */
const passes = ({ failure }: LogError): boolean => failure !== "Fenced" && failure !== "Stop" && failure !== "Gone"

const stopped = (error: LogError): LogStopped | LogGone => {
  const reason = { message: error.message, cause: error }
  return error.failure === "Gone" ? new LogGone(reason) : new LogStopped(reason)
}

const same = (found: Range, range: Range): boolean =>
  found.first === range.first && found.last === range.last && found.rows === range.rows

const incomplete = (topic: string, { partition, first, last, rows }: Range, found: PartitionRows): Eaten =>
  new Eaten({
    message: `${topic}[${partition}]: an unfinished block of ${rows} rows from offset ${first} to ${last} must be sent again, but the log gives ${found.rows}. Retention or compaction has eaten the others; a compacted topic cannot be delivered exactly once`
  })
