import { PHASES } from "../metrics.ts"
import {
  type Batch,
  type GroupChange,
  type LogError,
  type Place,
  type Position,
  type TopicPartition,
  TRANSACTION_TIMEOUT_MS
} from "../ports/log.ts"
import { ChangelogWriter } from "../recovery/changelog.ts"
import type { Task } from "../task/task.ts"
import { Commits } from "./commits.ts"
import type { Command, Event, Halt, Turn } from "./events.ts"
import { Fences, sameName } from "./fences.ts"
import { Holdings } from "./holdings.ts"
import type { LaneOptions } from "./options.ts"
import { type LanePhase, SHOWN } from "./phase.ts"
import type { Tasks } from "./tasks.ts"

const POLL_TIMEOUT_MS = 50
/** The same while results of windows wait to be emitted. */
const FIRING_POLL_TIMEOUT_MS = 5
const REPORT_INTERVAL_MS = 500
/** Transactions that are sent once more, and fail again, this often in a row: then nothing but the log is believed. */
const REPEATS_LIMIT = 3

/**
 * A lane as a state machine without IO: `step(event, now)` returns the commands to begin. It owns the tasks of its
 * partitions and the phases of its life; `Commits` owns the transactions, `Holdings` what comes and goes by the group.
 * The interpreter owns clients, threads and time, so that a seed can drive every interleaving. The rules are those of
 * docs/guarantees.md.
 */
export class Lane {
  private phase: LanePhase = "starting"
  private readonly options: LaneOptions
  private readonly commits: Commits
  private readonly changelog: ChangelogWriter
  private readonly holdings: Holdings
  private readonly tasks: Tasks
  private readonly fences = new Fences()
  /** The group has it, whether with partitions or without. */
  private member = false
  private polling = false
  private inbox: Batch | undefined
  private stopping = false
  /** The job comes to rest: what comes from outside from then on is left for whoever goes on. */
  private halt: Halt | undefined
  /** It goes on after a halt: what comes from outside is read again from where it was left. */
  private resuming = false
  /** What is not committed cannot be sent once more: it may be committed, or belongs to somebody else by now. */
  private doomed = false
  /** How often in a row transactions were sent once more. */
  private repeats = 0
  private commands: Command[] = []
  private now = 0
  private reportedAt = Number.NEGATIVE_INFINITY

  constructor(options: LaneOptions) {
    this.options = options
    this.commits = new Commits(options.metrics, options.maxKeptBytes)
    this.changelog = new ChangelogWriter(options.transactionalIds)
    this.holdings = new Holdings(options.topic, options.memory, one =>
      options.makeTask(one, () => this.commits.outputs)
    )
    this.tasks = this.holdings.tasks
    // Of none yet, which zeros would not say.
    this.tasks.report(options.metrics)
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
    this.show()
    if (this.phase === "running") this.options.alignment.repeat(wallClock)
    return this.commands
  }

  get ended(): boolean {
    return this.phase === "ended" || this.phase === "failed"
  }

  /** The next offset of each partition that runs; none after a failure. */
  positions(): readonly Position[] {
    return this.phase === "running" ? this.tasks.positions : []
  }

  /** What the group has given, whether it runs already or not. */
  get owned(): readonly TopicPartition[] {
    return this.holdings.all
  }

  /** Nothing is read of it for now, so that others may follow. */
  isHeldBack(partition: TopicPartition): boolean {
    const task = this.tasks.of(partition)
    return task !== undefined && this.holdings.isHeldBack(task)
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
        this.repeats = 0
        return this.emit(this.commits.committed(event.turn, event.poisoned, this.now))
      case "initialised":
        return this.commits.initialised(event.turn)
      case "restored":
        return this.holdings.restored(event.task, event.at)
      case "held":
        return this.holdings.held(event.tasks)
      case "sought":
        return this.holdings.sought()
      case "unassigned":
        return this.holdings.unassigned()
      case "closed":
        this.phase = "ended"
        return
      case "passed":
        return this.passed(event.position, event.end)
      case "released":
        return this.released()
      case "asked":
        return event.answer(this.tasks.openMatches(event.key))
      case "failed":
        return this.failed(event)
      case "halt":
        this.halt = event.halt
        return
      case "resume":
        this.resuming ||= this.halting
        this.halt = undefined
        return
      case "stop":
        this.stopping = true
        this.emit(this.holdings.abandonAll())
    }
  }

  private emit(commands: readonly Command[]): void {
    this.commands.push(...commands)
  }

  private show(): void {
    const { metrics } = this.options
    metrics.set("phase", PHASES.indexOf(this.visible()))
    metrics.set("partitions", this.tasks.size)
    metrics.set("halt", this.halt?.number ?? 0)
    metrics.set("halted", this.halted)
  }

  /** It takes nothing in from outside any more. */
  get halting(): boolean {
    return this.halt !== undefined
  }

  /** How many partitions have come to rest, once all that they did is committed. */
  get halted(): number {
    return this.halt === undefined || this.phase !== "running" || this.uncommitted ? 0 : this.tasks.halted(this.halt)
  }

  /** What an operator is shown. */
  private visible(): (typeof PHASES)[number] {
    if (this.phase !== "running") return SHOWN[this.phase]
    if (this.leaves) return "stopping"
    if (this.holdings.arriving) return "restoring"
    if (this.tasks.size > 0) return "running"
    return this.member ? "spare" : "joining"
  }

  // ── the group ──────────────────────────────────────────────────────────────────────────────────────────────────

  private changed({ type, partitions }: GroupChange): void {
    this.member = type !== "lost"
    if (type !== "assign") this.emit(this.holdings.owe(partitions))
    else if (!this.stopping && partitions.length > 0) this.emit(this.holdings.take(partitions))
    if (type === "lost") this.lost(partitions)
  }

  /** Gone without warning: another member may own them already, so nothing of theirs may be committed. */
  private lost(partitions: readonly TopicPartition[]): void {
    if (!this.holdings.owingRunning) return
    this.tasks.remove(partitions)
    this.recover(false)
  }

  /** Partitions go: those that the group asks for, or all. */
  private get leaves(): boolean {
    return this.stopping || this.holdings.owing
  }

  /** What is open has to be committed first, or dropped (rule 5). */
  private get settling(): boolean {
    return this.stopping || this.holdings.owingRunning
  }

  /**
   * Each partition comes to rest by itself, those of a source first. The lane stays, and takes what the group gives it: it
   * is told to stop when all lanes have none left.
   */
  private rest(): void {
    if (!this.halting && !this.resuming) return
    // Nothing is read in vain, and all of it is read again later.
    if (!this.holdings.moving) this.emit(this.holdings.align({ ahead: this.read, caughtUp: [] }))
    if (this.halt !== undefined && this.tasks.rest(this.halt)) this.commits.collect(this.now)
  }

  /** Behind a poll, as `align`: what a poll that had been under way brought of them was dropped. */
  private goOn(): void {
    if (!this.resuming || this.phase !== "running" || this.leaves || this.holdings.moving || this.read.length > 0)
      return
    this.resuming = false
    for (const task of this.tasks.all()) task.goOn()
    const caughtUp = [...this.tasks.all()].filter(task => !task.internal)
    this.emit(this.holdings.align({ ahead: [], caughtUp }))
  }

  /** What is read from outside. */
  private get read(): readonly Task[] {
    return [...this.tasks.all()].filter(task => !task.internal && !this.holdings.isHeldBack(task))
  }

  // ── records ────────────────────────────────────────────────────────────────────────────────────────────────────

  private polled(batch: Batch, changes: readonly GroupChange[]): void {
    this.polling = false
    this.options.pace.polled(batch.count, this.tasks.size)
    if (this.ended) return
    this.inbox = batch.count > 0 ? batch : undefined
    if (changes.length === 0 && this.inbox !== undefined) {
      this.poll()
      this.emit([{ type: "process" }])
      return
    }
    this.process()
    for (const change of changes) this.changed(change)
  }

  /** Runs the batch, if there is one, and goes on with the firing of windows. */
  private process(): void {
    const batch = this.inbox
    this.inbox = undefined
    if (this.doomed) return
    if (batch !== undefined) this.tasks.run(batch, this.halting || this.resuming)
    // A slice only: the end of a large window does not hold up what follows it.
    const fired = this.tasks.fire(Math.max(this.options.resultsAtOnce, batch?.count ?? 0))
    this.options.metrics.add("recordsIn", batch?.count ?? 0)
    if (batch !== undefined || fired) this.commits.collect(this.now)
    this.goOn()
    this.align()
  }

  /**
   * Once for each poll, and behind it: what was held back at a look before stands still by then, whatever a poll that had been
   * under way brought of it.
   */
  private align(): void {
    const { alignment, clock, metrics } = this.options
    const { tasks, holdings } = this
    if (this.phase !== "running" || this.leaves || this.halting || this.resuming || holdings.moving) return
    const isHeld = (task: Task) => holdings.isHeldBack(task)
    this.emit(holdings.align(alignment.look(tasks.all(), isHeld, this.now, clock.now, metrics)))
  }

  /** Still true of a partition that stands where it stood, whatever happened since it was looked at. */
  private passed(position: Position, end: number): void {
    const task = this.tasks.of(position)
    if (this.phase !== "running" || task?.committable() !== position.offset || task.inFlight() > 0) return
    task.pass(end)
    this.commits.collect(this.now)
  }

  private released(): void {
    if (!this.doomed && this.tasks.release()) this.commits.collect(this.now)
  }

  // ── commits and failures ───────────────────────────────────────────────────────────────────────────────────────

  private sealDue(): boolean {
    if (!this.commits.sealable) return false
    return (this.settling || this.commitDue()) && this.tasks.closable
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
    const { alignment } = this.options
    const offsets: Place[] = []
    for (const task of this.tasks.all()) {
      if (!task.touched()) continue
      const offset = task.committable()
      this.changelog.write(task, offset, this.commits.outputs, this.options.changelogTopic(task.topic))
      const metadata = alignment.beside(task)
      offsets.push({ topic: task.topic, partition: task.partition, offset, ...(metadata && { metadata }) })
    }
    this.tasks.sealed()
    this.commits.seal(offsets, this.now)
    if (this.now - this.reportedAt >= REPORT_INTERVAL_MS) this.report()
  }

  private report(): void {
    this.reportedAt = this.now
    this.tasks.report(this.options.metrics)
  }

  private failed({ command, turn, task, error }: Extract<Event, { type: "failed" }>): void {
    // Somebody else owns it by now, and what he does to its changelog is no error here.
    if (task !== undefined && !this.holdings.awaits(task)) return
    if (command === "poll") this.polling = false
    if (turn !== undefined) this.commits.failed(turn)
    const { failure } = error
    if (command === "poll" && failure === "Retry") return
    if (failure === "Stop" || turn === undefined) return this.fail(error)
    if (failure === "Fenced" && this.fencedTooOften(turn))
      return this.fail(sameName(this.options.transactionalIds[turn], error))
    this.recover(command !== "commit")
  }

  /** Both producers are fenced in one incident; and what was open for too long was aborted by the coordinator. */
  private fencedTooOften(turn: Turn): boolean {
    if (this.phase === "quieting" || this.now - this.commits.begunAt(turn) > TRANSACTION_TIMEOUT_MS) return false
    return this.fences.add(this.now)
  }

  private fail(error: LogError): void {
    this.phase = "failed"
    this.tasks.interrupt()
    this.emit([{ type: "fail", error }])
  }

  /**
   * Both transactions are to be aborted. `certain`: neither was committed and all that they hold is still the lane's; then
   * they are sent once more. Otherwise state is rebuilt from what is committed.
   */
  private recover(certain: boolean): void {
    if (!certain) this.doom()
    if (this.phase === "quieting") return
    this.phase = "quieting"
    this.options.metrics.add("aborts", 1)
  }

  private doom(): void {
    this.doomed = true
    this.inbox = undefined
    this.tasks.interrupt()
  }

  private resetWhenQuiet(): void {
    if (this.polling || this.holdings.moving || !this.commits.quiet) return
    this.phase = "resetting"
    const again = !this.doomed && this.commits.repeatable && this.repeats < REPEATS_LIMIT
    if (again) this.repeat()
    else this.rebuild()
  }

  /** Not the state is brought back, but the transactions: a member that joins aborts those of others (rule 6). */
  private repeat(): void {
    this.repeats++
    this.options.metrics.add("repeats", 1)
    this.emit(this.commits.repeat())
  }

  /** Nothing uncommitted survives. What is to be given back needs no state any more. */
  private rebuild(): void {
    this.doom()
    this.repeats = 0
    if (this.tasks.size > 0) this.options.metrics.add("restores", 1)
    this.emit(this.holdings.renew())
    if (this.stopping) this.emit(this.holdings.abandonAll())
    this.emit(this.commits.reset())
  }

  /** Both producers have a session without a transaction, and the client reads nothing that does not run. */
  private runWhenReady(): void {
    if (!this.commits.bothReady || this.holdings.moving) return
    this.phase = "running"
    this.doomed = false
    this.proceed()
  }

  // ── what to do next ────────────────────────────────────────────────────────────────────────────────────────────

  /** Derives from the state alone what can be begun now. */
  private pump(): void {
    switch (this.phase) {
      case "starting":
        return this.prepare()
      case "resetting":
        return this.runWhenReady()
      case "running":
        return this.proceed()
      case "quieting":
        return this.resetWhenQuiet()
    }
  }

  /**
   * While the producers get their sessions, which may take the abort of what a predecessor left open, the group gives
   * partitions and their state comes back. None runs before: a restore ends only when all that was written is decided.
   */
  private prepare(): void {
    if (this.commits.bothReady) return this.runWhenReady()
    this.emit(this.holdings.begin())
    if (this.holdings.owing) this.handOver()
    this.poll()
  }

  private proceed(): void {
    this.advance()
    this.rest()
    if (this.sealDue()) this.seal()
    this.drive()
    this.handOver()
    this.poll()
  }

  /** An offset that was lost and left behind is part of the next transaction, without a record. */
  private advance(): void {
    const before = this.tasks.size
    this.emit(this.holdings.advance())
    if (this.tasks.size > before && this.tasks.touched) this.commits.collect(this.now)
  }

  private handOver(): void {
    if (!this.leaves || this.polling || this.inbox !== undefined || this.holdings.moving) return
    if (this.settling && this.uncommitted) return
    if (this.holdings.owing) return this.emit(this.holdings.giveBack())
    this.phase = "leaving"
    this.emit([{ type: "close" }])
  }

  private poll(): void {
    const polls = this.phase === "running" || this.phase === "starting"
    if (this.polling || !polls || this.leaves || this.congested()) return
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
