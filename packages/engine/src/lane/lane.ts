import { PHASES } from "../metrics.ts"
import type { Batch, GroupChange, Position, TopicPartition } from "../ports/log.ts"
import type { Task } from "../task/task.ts"
import { Commits } from "./commits.ts"
import type { Command, Event } from "./events.ts"
import { Failures } from "./failures.ts"
import { Halting } from "./halting.ts"
import { Holdings } from "./holdings.ts"
import { Life } from "./life.ts"
import type { LaneOptions } from "./options.ts"
import { Sealing } from "./sealing.ts"
import type { Tasks } from "./tasks.ts"

/**
 * For want of memory nothing is polled for as long, and then one record: who does not poll is taken for dead, and what the group
 * wants is heard by polls.
 */
const RELIEVED_FOR_MS = 1000

/**
 * A lane as a state machine without IO: `step(event, now)` returns the commands to begin. It owns the order
 * of things: `Life` tells where it is, `Holdings` what comes and goes by the group, and the tasks that run; `Commits` owns the
 * transactions, `Sealing` says when they close, `Failures` what becomes of those that failed; `Halting` is a rest of the job.
 * The interpreter owns clients, threads and time, so that a seed can drive every interleaving. The rules are those of
 * docs/guarantees.md.
 */
export class Lane {
  private readonly options: LaneOptions
  private readonly commits: Commits
  private readonly holdings: Holdings
  private readonly life: Life
  private readonly tasks: Tasks
  private readonly sealing: Sealing
  private readonly failures: Failures
  private readonly rests: Halting
  private polling = false
  private relieving = false
  /** When the last poll began, in ms. */
  private polledAt = 0
  /** How many records it asked for at most. */
  private asked = 0
  private inbox: Batch | undefined
  private commands: Command[] = []
  private now = 0

  constructor(options: LaneOptions) {
    this.options = options
    this.commits = new Commits(options.metrics, options.maxKeptBytes)
    this.holdings = new Holdings(options.topic, options.memory, one =>
      options.makeTask(one, () => this.commits.outputs)
    )
    this.tasks = this.holdings.tasks
    this.life = new Life(this.holdings, this.commits)
    this.sealing = new Sealing(options, this.commits, this.tasks)
    this.failures = new Failures(options, this.commits, this.holdings, this.life)
    this.rests = new Halting(this.holdings)
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
    if (this.life.running) this.options.alignment.repeat(wallClock)
    return this.commands
  }

  get ended(): boolean {
    return this.life.ended
  }

  /** The next offset of each partition that runs; none after a failure. */
  positions(): readonly Position[] {
    return this.life.running ? this.tasks.positions : []
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

  /** Where the log of one that is held back ends, whose client reads nothing of it; undefined where that is not known. */
  endOf(partition: TopicPartition): number | undefined {
    return this.options.alignment.endOf(partition, this.options.clock.now)
  }

  /** Records whose asynchronous steps have not finished. */
  get inFlight(): number {
    return this.tasks.inFlight
  }

  /** All that was processed is committed, and no results of windows that are due wait to be emitted. */
  get idle(): boolean {
    return !this.tasks.firing && !this.life.uncommitted
  }

  private take(event: Event): void {
    switch (event.type) {
      case "start":
        return this.emit(this.commits.reset())
      case "polled":
        return this.polled(event.batch, event.changes)
      case "process":
        return this.process()
      case "relieve":
        this.relieving = false
        return this.tasks.relieve()
      case "produced":
        return this.commits.produced(event.turn)
      case "flushed":
        return this.commits.flushed(event.turn)
      case "offsetsSent":
        return this.commits.offsetsSent(event.turn)
      case "committed":
        this.failures.committed()
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
        this.life.phase = "ended"
        return
      case "passed":
        return this.passed(event.position, event.end)
      case "released":
        return this.released()
      case "asked":
        return event.answer(this.tasks.openMatches(event.key))
      case "failed":
        if (event.command === "poll") this.polling = false
        return this.emit(this.failures.failed(event, this.now))
      case "halt":
        return this.rests.begin(event.halt)
      case "resume":
        return this.rests.end()
      case "stop":
        this.life.stopping = true
        this.emit(this.holdings.abandonAll())
    }
  }

  private emit(commands: readonly Command[]): void {
    this.commands.push(...commands)
  }

  private show(): void {
    const { metrics } = this.options
    metrics.set("phase", PHASES.indexOf(this.life.visible))
    metrics.set("partitions", this.tasks.size)
    this.tasks.reportMoved(metrics)
  }

  /** The number of the halt by which the job comes to rest: nothing is taken in from outside. */
  get halt(): number | undefined {
    return this.rests.halt?.number
  }

  /** The partitions that have come to rest by it, once all that they did is committed. */
  get halted(): readonly TopicPartition[] {
    return !this.life.running || this.life.uncommitted ? [] : this.rests.halted
  }

  // ── the group ──────────────────────────────────────────────────────────────────────────────────────────────────

  private changed({ type, partitions }: GroupChange): void {
    this.life.member = type !== "lost"
    if (type !== "assign") this.emit(this.holdings.owe(partitions))
    else if (!this.life.stopping && partitions.length > 0) this.emit(this.holdings.take(partitions))
    // Gone without warning: another member may own them already, so nothing of theirs may be committed.
    if (type !== "lost" || !this.holdings.owingRunning) return
    this.tasks.remove(partitions)
    this.failures.quiet(false)
  }

  // ── records ────────────────────────────────────────────────────────────────────────────────────────────────────

  private polled(batch: Batch, changes: readonly GroupChange[]): void {
    this.polling = false
    this.options.pace.polled(batch.count, this.asked, this.tasks.size)
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
    if (this.failures.doomed) return
    if (batch !== undefined) this.tasks.run(batch, this.rests.closed)
    // A slice only: the end of a large window does not hold up what follows it.
    const fired = this.tasks.fire(Math.max(this.options.resultsAtOnce, batch?.count ?? 0))
    this.options.metrics.add("recordsIn", batch?.count ?? 0)
    if (batch !== undefined || fired) this.commits.collect(this.now)
    if (this.life.running && !this.life.leaves) this.emit(this.rests.goOn())
    this.align()
  }

  /**
   * Once for each poll, and behind it: what was held back at a look before stands still by then, whatever a poll that had been
   * under way brought of it.
   */
  private align(): void {
    const { alignment, clock, metrics } = this.options
    const { life, tasks, holdings } = this
    if (!life.running || life.leaves || this.rests.closed || holdings.moving) return
    const isHeld = (task: Task) => holdings.isHeldBack(task)
    this.emit(holdings.align(alignment.look(tasks.all(), isHeld, this.now, clock.now, metrics)))
  }

  /** Still true of a partition that stands where it stood, whatever happened since it was looked at. */
  private passed(position: Position, end: number): void {
    const task = this.tasks.of(position)
    if (!this.life.running || task?.committable() !== position.offset || task.inFlight() > 0) return
    task.pass(end)
    this.commits.collect(this.now)
  }

  private released(): void {
    if (!this.failures.doomed && this.tasks.release()) this.commits.collect(this.now)
  }

  // ── what to do next ────────────────────────────────────────────────────────────────────────────────────────────

  /** Derives from the state alone what can be begun now. */
  private pump(): void {
    switch (this.life.phase) {
      case "starting":
        return this.prepare()
      case "resetting":
        this.receive()
        return this.runWhenReady()
      case "running":
        return this.proceed()
      case "quieting":
        this.receive()
        return this.emit(this.failures.reset(this.polling))
    }
  }

  /**
   * What the group gives while transactions are sent once more was never part of them: its state comes back meanwhile. A group
   * that gives something has moved on, so it is then that transactions are refused. Where a commit may have happened all waits
   * for the new sessions.
   */
  private receive(): void {
    if (!this.failures.doomed) this.emit(this.holdings.begin())
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

  /** Both producers have a session without a transaction, and the client reads nothing that does not run. */
  private runWhenReady(): void {
    if (!this.commits.bothReady || this.holdings.moving) return
    this.life.phase = "running"
    this.failures.recovered()
    this.proceed()
  }

  private proceed(): void {
    this.advance()
    this.emit(this.rests.close())
    if (this.rests.rest()) this.commits.collect(this.now)
    if (this.sealing.isDue(this.life.settling, this.now)) this.sealing.seal(this.now)
    this.emit(this.sealing.drive(this.now))
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
    const { life, holdings } = this
    if (!life.leaves || this.polling || this.inbox !== undefined || holdings.moving) return
    if (life.settling && life.uncommitted) return
    if (holdings.owing) return this.emit(holdings.giveBack())
    life.phase = "leaving"
    this.emit([{ type: "close" }])
  }

  private poll(): void {
    const { phase, leaves } = this.life
    const polls = phase === "running" || phase === "starting"
    if (!polls || leaves) return
    const { relievable } = this.tasks
    if (relievable) {
      this.relieve()
      if (this.now - this.polledAt < RELIEVED_FOR_MS) return
    }
    if (this.polling || this.sealing.congested(this.now)) return
    this.polling = true
    this.polledAt = this.now
    this.asked = relievable ? 1 : this.options.maxPollRecords
    this.emit([{ type: "poll", maxRecords: this.asked, timeoutMs: this.sealing.pollTimeout(this.now) }])
  }

  /** Slice by slice, so that commits go on beside it. */
  private relieve(): void {
    if (this.relieving) return
    this.relieving = true
    this.emit([{ type: "relieve" }])
  }
}
