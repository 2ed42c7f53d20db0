import { type LaneMetrics, PHASES } from "../metrics.ts"
import {
  type Batch,
  type GroupChange,
  LogError,
  type Position,
  type TopicPartition,
  TRANSACTION_TIMEOUT_MS
} from "../ports/log.ts"
import { ChangelogWriter } from "../recovery/changelog.ts"
import type { Restored } from "../recovery/restore.ts"
import type { WallClock } from "../task/chain.ts"
import type { StateMemory } from "../task/memory.ts"
import type { Outputs } from "../task/outputs.ts"
import type { Task } from "../task/task.ts"
import { Commits } from "./commits.ts"
import type { Command, Event, Turn } from "./events.ts"
import type { Pace } from "./pace.ts"
import { nameOf, Tasks } from "./tasks.ts"

export interface LaneOptions {
  readonly pace: Pace
  /** Unproduced output beyond this stops polling, in bytes. */
  readonly maxBufferedBytes: number
  /** Records in asynchronous steps beyond this stop polling. */
  readonly maxInFlight: number
  /** Results of windows that are due, emitted for each poll at least; more if the poll brought more records. */
  readonly resultsAtOnce: number
  /** Goes into each changelog record: who wrote it. */
  readonly transactionalIds: readonly [string, string]
  /** The name behind a topic id in `Batch.index`. */
  readonly topic: (id: number) => string
  readonly makeTask: (partition: TopicPartition, outputs: () => Outputs) => Task
  /** Bounds the state of all its tasks. */
  readonly memory: StateMemory
  /** The output topic id of a source topic's changelog. */
  readonly changelogTopic: (source: string) => number
  /** What operators see of the wall clock; the lane keeps it. */
  readonly clock: WallClock
  readonly metrics: LaneMetrics
}

/**
 * `restoring`: state of newly assigned partitions comes back. `settling`: everything must be committed before
 * partitions are given back or the lane ends; `leaving`: that is under way. After a failed transaction: `quieting`
 * (calls under way come back), `resetting` (new producer sessions), `rebuilding` (state comes back from the log).
 */
type Phase =
  | "starting"
  | "joining"
  | "restoring"
  | "running"
  | "settling"
  | "leaving"
  | "quieting"
  | "resetting"
  | "rebuilding"
  | "ended"
  | "failed"

/** Fenced this often within the window: somebody else runs under the same instance name. */
const FENCED_LIMIT = 3
const FENCED_WINDOW_MS = 60_000
const POLL_TIMEOUT_MS = 50
/** The same while results of windows wait to be emitted. */
const FIRING_POLL_TIMEOUT_MS = 5
const REPORT_INTERVAL_MS = 500

/**
 * A lane as a state machine without IO: `step(event, now)` returns the commands to begin. It owns the tasks of its
 * partitions and the phases of its life; `Commits` owns the transactions. The interpreter owns clients, threads and
 * time, so that a seed can drive every interleaving. The rules are those of docs/guarantees.md.
 */
export class Lane {
  private phase: Phase = "starting"
  private readonly options: LaneOptions
  private readonly commits: Commits
  private readonly changelog: ChangelogWriter
  private readonly tasks: Tasks
  private polling = false
  private inbox: Batch | undefined
  /** Partitions that the group wants back. */
  private revoked: readonly TopicPartition[] = []
  /** Partitions that the group gave, until the client has been told where to begin in them. */
  private awaited: readonly TopicPartition[] | undefined
  /** Calls under way that restore state or place partitions. */
  private placing = 0
  private stopping = false
  /** Before it stops, event time comes to its end: what is polled from then on is left for whoever goes on. */
  private draining = false
  /** State was thrown away: all partitions come back from the log before anything runs. */
  private torn = false
  private fenced: number[] = []
  private commands: Command[] = []
  private now = 0
  private reportedAt = Number.NEGATIVE_INFINITY

  constructor(options: LaneOptions) {
    this.options = options
    this.commits = new Commits(options.metrics)
    this.changelog = new ChangelogWriter(options.transactionalIds)
    this.tasks = new Tasks(options.topic, options.memory)
  }

  /**
   * One event in, the commands to begin out. `now` in ms, from a monotonous clock; `wallClock` in ms since 1970, which
   * may go back.
   */
  step(event: Event, now: number, wallClock: number): readonly Command[] {
    this.now = now
    this.options.clock.now = wallClock
    this.commands = []
    this.take(event)
    this.pump()
    return this.commands
  }

  get ended(): boolean {
    return this.phase === "ended" || this.phase === "failed"
  }

  /** The next offset of each partition that runs; none while state is being restored. */
  positions(): readonly Position[] {
    return this.phase === "running" ? this.tasks.positions : []
  }

  /** What the group has given, whether it runs already or not. */
  get owned(): readonly TopicPartition[] {
    return [...this.tasks.all()]
  }

  /** Something was processed that is not committed. */
  get uncommitted(): boolean {
    return this.commits.committing || this.commits.openSince >= 0
  }

  /** Records whose asynchronous steps have not finished. */
  get inFlight(): number {
    return this.tasks.inFlight
  }

  /** Results of windows that are due wait to be emitted. */
  get firing(): boolean {
    return this.tasks.firing
  }

  private take(event: Event): void {
    switch (event.type) {
      case "start":
        return this.emit(this.commits.reset())
      case "polled":
        return this.polled(event.batch, event.changes)
      case "process":
        return this.process()
      case "produced":
        return this.commits.produced(event.turn)
      case "flushed":
        return this.commits.flushed(event.turn)
      case "offsetsSent":
        return this.commits.offsetsSent(event.turn)
      case "committed":
        return this.emit(this.commits.committed(event.turn, event.poisoned, this.now))
      case "initialised":
        return this.initialised(event.turn)
      case "restored":
        return this.restored(event.positions)
      case "assigned":
        this.awaited = undefined
        return this.placed()
      case "sought":
        return this.placed()
      case "unassigned":
        return this.unassigned()
      case "closed":
        return this.enter("ended")
      case "passed":
        return this.passed(event.position, event.end)
      case "released":
        return this.released()
      case "failed":
        return this.failed(event)
      case "stop":
        this.stopping = true
        this.draining ||= event.drain === true
    }
  }

  private emit(commands: readonly Command[]): void {
    this.commands.push(...commands)
  }

  private enter(phase: Phase): void {
    this.phase = phase
    this.options.metrics.set("phase", PHASES.indexOf(visible(phase)))
    this.options.metrics.set("partitions", this.tasks.size)
  }

  // ── the group ──────────────────────────────────────────────────────────────────────────────────────────────────

  private changed(change: GroupChange): void {
    if (change.type === "assign") return this.assign(change.partitions)
    this.revoked = change.partitions
    // Gone without warning: another member may own them already, so nothing of theirs may be committed.
    if (change.type === "lost") this.recover()
  }

  private assign(partitions: readonly TopicPartition[]): void {
    this.awaited = partitions
    // They come back with the others, once the failed transactions are out of the way.
    if (this.torn) return
    this.enter("restoring")
    this.restore(partitions)
  }

  private restore(partitions: readonly TopicPartition[]): void {
    const tasks = partitions.map(partition => this.options.makeTask(partition, () => this.commits.outputs))
    this.tasks.put(tasks)
    this.place({ type: "restore", tasks })
  }

  private place(command: Command): void {
    this.placing++
    this.emit([command])
  }

  /** What was restored before a transaction failed is out of date: all of it is rebuilt. */
  private restored(positions: readonly Restored[]): void {
    this.placing--
    if (this.outdated()) return
    for (const position of positions) this.tasks.of(position)?.start(position)
    const awaited = new Set(this.awaited?.map(nameOf))
    const known = positions.filter(position => !awaited.has(nameOf(position)))
    if (known.length > 0) this.place({ type: "seek", positions: known })
    if (this.awaited === undefined) return
    this.place({ type: "assign", positions: positions.filter(position => awaited.has(nameOf(position))) })
  }

  private placed(): void {
    this.placing--
    if (this.placing === 0 && !this.outdated()) this.resume()
  }

  /** A transaction has failed since the call began. */
  private outdated(): boolean {
    return this.torn && this.phase !== "rebuilding"
  }

  private resume(): void {
    this.torn = false
    this.enter(this.tasks.size === 0 ? "joining" : "running")
    // Asynchronous steps of the other partitions may have finished meanwhile.
    this.released()
  }

  private unassigned(): void {
    this.tasks.remove(this.revoked)
    this.revoked = []
    if (this.torn) this.rebuild()
    else this.resume()
  }

  // ── records ────────────────────────────────────────────────────────────────────────────────────────────────────

  private polled(batch: Batch, changes: readonly GroupChange[]): void {
    this.polling = false
    this.options.pace.polled(batch.count)
    if (!this.torn && !this.ended) {
      this.inbox = batch.count > 0 && !this.draining ? batch : undefined
      if (changes.length === 0 && this.inbox !== undefined) {
        this.poll()
        this.emit([{ type: "process" }])
        return
      }
      this.process()
    }
    for (const change of changes) this.changed(change)
  }

  /** Runs the batch, if there is one, and goes on with the firing of windows. */
  private process(): void {
    const batch = this.inbox
    this.inbox = undefined
    if (this.torn) return
    if (batch !== undefined) this.tasks.run(batch)
    // A slice only: the end of a large window does not hold up what follows it.
    const fired = this.tasks.fire(Math.max(this.options.resultsAtOnce, batch?.count ?? 0))
    this.options.metrics.add("recordsIn", batch?.count ?? 0)
    if (batch !== undefined || fired) this.commits.collect(this.now)
  }

  /** Still true of a partition that stands where it stood, whatever happened since it was looked at. */
  private passed(position: Position, end: number): void {
    const task = this.tasks.of(position)
    if (this.phase !== "running" || task?.committable() !== position.offset || task.inFlight() > 0) return
    task.pass(end)
    this.commits.collect(this.now)
  }

  private released(): void {
    if (this.torn || (this.phase !== "running" && this.phase !== "settling")) return
    if (this.tasks.release()) this.commits.collect(this.now)
  }

  // ── commits and failures ───────────────────────────────────────────────────────────────────────────────────────

  private sealDue(): boolean {
    if (!this.commits.sealable) return false
    return (this.phase === "settling" || this.commitDue()) && this.tasks.closable
  }

  /**
   * By time; or because the buffers or the memory for state are full, and nothing leaves them before the transaction is
   * sealed: then no poll is under way that would end in time to wake the lane.
   */
  private commitDue(): boolean {
    const { openSince } = this.commits
    if (openSince < 0) return false
    if (this.tasks.overfull || (this.full && this.tasks.mayWait)) return true
    return this.now >= this.options.pace.dueAt(openSince)
  }

  private get full(): boolean {
    return this.commits.bufferedBytes > this.options.maxBufferedBytes
  }

  /**
   * The open transaction begins early, so that the broker works while it fills; not where an asynchronous step may keep
   * it from closing, for longer perhaps than the transaction time-out: then it begins when it is sealed.
   */
  private drive(): void {
    this.emit(this.commits.drive(!this.tasks.mayWait, this.now))
  }

  /**
   * Each partition that the transaction touches gets an offset, also an unchanged one, and a changelog record, also an
   * empty one (rules 2 and 3).
   */
  private seal(): void {
    const offsets: Position[] = []
    for (const task of this.tasks.all()) {
      if (!task.touched()) continue
      const offset = task.committable()
      this.changelog.write(task, offset, this.commits.outputs, this.options.changelogTopic(task.topic))
      offsets.push({ topic: task.topic, partition: task.partition, offset })
    }
    this.tasks.sealed()
    this.commits.seal(offsets, this.now)
    if (this.now - this.reportedAt >= REPORT_INTERVAL_MS) this.report()
  }

  private report(): void {
    this.reportedAt = this.now
    this.tasks.report(this.options.metrics)
  }

  private initialised(turn: Turn): void {
    this.commits.initialised(turn)
    if (!this.commits.bothReady) return
    if (this.phase === "starting") this.enter("joining")
    else if (this.phase === "resetting") this.rebuild()
  }

  private failed(event: Extract<Event, { type: "failed" }>): void {
    if (event.command === "poll") this.polling = false
    if (event.turn !== undefined) this.commits.failed(event.turn)
    const { failure } = event.error
    if (event.command === "poll" && failure === "Retry") return
    if (failure === "Stop" || event.turn === undefined) return this.fail(event.error)
    if (failure === "Fenced" && this.fencedTooOften(event.turn)) {
      return this.fail(sameName(this.options.transactionalIds[event.turn], event.error))
    }
    this.recover()
  }

  /** Both producers are fenced in one incident; and what was open for too long was aborted by the coordinator. */
  private fencedTooOften(turn: Turn): boolean {
    if (this.torn || this.now - this.commits.begunAt(turn) > TRANSACTION_TIMEOUT_MS) return false
    this.fenced = [...this.fenced.filter(at => at > this.now - FENCED_WINDOW_MS), this.now]
    return this.fenced.length >= FENCED_LIMIT
  }

  private fail(error: LogError): void {
    this.enter("failed")
    this.tasks.interrupt()
    this.emit([{ type: "fail", error }])
  }

  /** Nothing uncommitted survives: both transactions are dropped, and state is rebuilt from what is committed. */
  private recover(): void {
    if (this.torn) return
    this.torn = true
    this.enter("quieting")
    this.options.metrics.add("aborts", 1)
    this.inbox = undefined
    this.tasks.interrupt()
  }

  private rebuild(): void {
    if (this.revoked.length > 0) return this.leave()
    if (this.tasks.size === 0 && this.awaited === undefined) return this.resume()
    this.enter("rebuilding")
    this.options.metrics.add("restores", 1)
    const owned = new Map<string, TopicPartition>()
    for (const partition of [...this.tasks.all(), ...(this.awaited ?? [])]) owned.set(nameOf(partition), partition)
    this.restore([...owned.values()])
  }

  // ── what to do next ────────────────────────────────────────────────────────────────────────────────────────────

  /** Derives from the state alone what can be begun now. */
  private pump(): void {
    switch (this.phase) {
      case "quieting":
        return this.resetWhenQuiet()
      case "joining":
      case "running":
      case "settling":
        return this.proceed()
      case "restoring":
        // Partitions that arrive later are restored while the transactions of the others end, in time.
        if (this.sealDue()) this.seal()
        return this.drive()
    }
  }

  private resetWhenQuiet(): void {
    if (this.polling || this.placing > 0 || !this.commits.quiet) return
    this.enter("resetting")
    this.emit(this.commits.reset())
  }

  private proceed(): void {
    if (this.revoked.length > 0 || (this.stopping && !this.drains())) this.enter("settling")
    if (this.sealDue()) this.seal()
    this.drive()
    if (this.phase !== "settling") this.poll()
    else if (!this.polling && !this.commits.committing && this.commits.openSince < 0) this.leave()
  }

  /** Ends event time once no record is under way; whether results of that are still to come. */
  private drains(): boolean {
    if (!this.draining || this.tasks.inFlight > 0) return this.draining
    if (this.tasks.end()) this.commits.collect(this.now)
    return this.tasks.firing || this.tasks.inFlight > 0
  }

  private leave(): void {
    this.enter("leaving")
    if (this.revoked.length > 0) this.emit([{ type: "unassign", partitions: this.revoked }])
    else this.emit([{ type: "close" }])
  }

  private poll(): void {
    if (this.polling || (this.phase !== "running" && this.phase !== "joining") || this.congested()) return
    this.polling = true
    this.emit([{ type: "poll", timeoutMs: this.pollTimeout() }])
  }

  /** Until the open transaction is due; while another one commits, its end wakes the lane. */
  private pollTimeout(): number {
    const { openSince, committing } = this.commits
    const longest = this.firing ? FIRING_POLL_TIMEOUT_MS : POLL_TIMEOUT_MS
    if (openSince < 0 || committing) return longest
    return Math.max(1, Math.min(longest, this.options.pace.dueAt(openSince) - this.now))
  }

  private congested(): boolean {
    this.options.metrics.set("bufferedBytes", this.commits.bufferedBytes)
    if (this.full || (this.tasks.overfull && this.commits.openSince >= 0)) return true
    // What is in asynchronous steps has to come out before the transaction can close: no more goes in.
    if (this.commitDue() && !this.tasks.closable) return true
    return this.tasks.inFlight > this.options.maxInFlight
  }
}

/** The phases that an operator is shown. */
const visible = (phase: Phase): (typeof PHASES)[number] => {
  switch (phase) {
    case "starting":
    case "joining":
    case "restoring":
    case "running":
    case "failed":
      return phase
    case "settling":
    case "leaving":
      return "stopping"
    case "quieting":
    case "resetting":
    case "rebuilding":
      return "restoring"
    case "ended":
      return "stopped"
  }
}

const sameName = (id: string, error: LogError): LogError =>
  new LogError(
    "Stop",
    `Another process uses the transactional id ${id}: two instances of this app run under one name. Give each its own instance name. (${error.message})`,
    { cause: error }
  )
