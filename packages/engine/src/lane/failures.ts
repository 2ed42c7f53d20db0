import { type LogError, TRANSACTION_TIMEOUT_MS } from "../ports/log.ts"
import type { Commits } from "./commits.ts"
import type { Command, Event, Turn } from "./events.ts"
import { Fences, sameName } from "./fences.ts"
import type { Holdings } from "./holdings.ts"
import type { Life } from "./life.ts"
import type { LaneOptions } from "./options.ts"

/** Transactions that are sent once more, and fail again, this often in a row: then nothing but the log is believed. */
const REPEATS_LIMIT = 3

/** What failed transactions come to: they are sent once more, or state is rebuilt from what is committed, or the lane ends. */
export class Failures {
  /** What is not committed cannot be sent once more: it may be committed, or belongs to somebody else by now. */
  doomed = false
  private readonly options: LaneOptions
  private readonly commits: Commits
  private readonly holdings: Holdings
  private readonly life: Life
  private readonly fences = new Fences()
  /** How often in a row transactions were sent once more. */
  private repeats = 0

  constructor(options: LaneOptions, commits: Commits, holdings: Holdings, life: Life) {
    this.options = options
    this.commits = commits
    this.holdings = holdings
    this.life = life
  }

  /** A transaction was committed. */
  committed(): void {
    this.repeats = 0
  }

  /** The lane runs again, with what is committed or with what was sent once more. */
  recovered(): void {
    this.doomed = false
  }

  /** A command failed: the lane recovers from that, or ends. */
  failed({ command, turn, task, error }: Extract<Event, { type: "failed" }>, now: number): readonly Command[] {
    // Somebody else owns it by now, and what he does to its changelog is no error here.
    if (task !== undefined && !this.holdings.awaits(task)) return []
    if (turn !== undefined) this.commits.failed(turn)
    const { failure } = error
    if (command === "poll" && failure === "Retry") return []
    if (failure === "Stop" || turn === undefined) return this.fail(error)
    if (failure === "Fenced" && this.fencedTooOften(turn, now))
      return this.fail(sameName(this.options.transactionalIds[turn], error))
    this.quiet(command !== "commit")
    return []
  }

  /**
   * Both transactions are to be aborted. `certain`: neither was committed and all that they hold is still the lane's; then
   * they are sent once more. Otherwise state is rebuilt from what is committed.
   */
  quiet(certain: boolean): void {
    if (!certain) this.doom()
    if (this.life.phase === "quieting") return
    this.life.phase = "quieting"
    this.options.metrics.add("aborts", 1)
  }

  /** Once no call is under way both transactions are aborted, and what follows begins. */
  reset(polling: boolean): readonly Command[] {
    if (polling || this.holdings.moving || !this.commits.quiet) return []
    this.life.phase = "resetting"
    const again = !this.doomed && this.commits.repeatable && this.repeats < REPEATS_LIMIT
    return again ? this.repeat() : this.rebuild()
  }

  private fail(error: LogError): readonly Command[] {
    this.life.phase = "failed"
    this.holdings.tasks.interrupt()
    return [{ type: "fail", error }]
  }

  private doom(): void {
    this.doomed = true
    this.holdings.tasks.interrupt()
  }

  /** Both producers are fenced in one incident; and what was open for too long was aborted by the coordinator. */
  private fencedTooOften(turn: Turn, now: number): boolean {
    if (this.life.phase === "quieting" || now - this.commits.begunAt(turn) > TRANSACTION_TIMEOUT_MS) return false
    return this.fences.add(now)
  }

  /** Not the state is brought back, but the transactions: a member that joins aborts those of others (rule 6). */
  private repeat(): readonly Command[] {
    this.repeats++
    this.options.metrics.add("repeats", 1)
    return this.commits.repeat()
  }

  /** Nothing uncommitted survives. What is to be given back needs no state any more. */
  private rebuild(): readonly Command[] {
    const { holdings } = this
    this.doom()
    this.repeats = 0
    if (holdings.tasks.size > 0) this.options.metrics.add("restores", 1)
    const commands = holdings.renew()
    return [...commands, ...(this.life.stopping ? holdings.abandonAll() : []), ...this.commits.reset()]
  }
}
