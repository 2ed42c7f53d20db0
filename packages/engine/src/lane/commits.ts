import type { LaneMetrics } from "../metrics.ts"
import type { Place } from "../ports/log.ts"
import { Outputs } from "../task/outputs.ts"
import type { Command, Turn } from "./events.ts"
import { Transaction } from "./transaction.ts"

/** Buffers kept for reuse; more are left to the collector. */
const SPARE_BUFFERS = 16

/**
 * The commit protocol of a lane: two producers in turn. While one transaction commits, the next one fills. The open
 * one produces only after the sealed one's flush is acknowledged (order within a key), and sends its offsets only after
 * the sealed one's end (rule 1): at most one is sealed at a time.
 */
export class Commits {
  private open: Transaction
  private sealed: Transaction | undefined
  /** Whether a producer has a session in which it may begin a transaction. */
  private readonly ready: [boolean, boolean] = [false, false]
  /** A new session is being asked for: asking twice would fence the one that was answered first. */
  private readonly initialising: [boolean, boolean] = [false, false]
  private filling = new Outputs()
  private readonly spare: Outputs[] = []
  private readonly metrics: LaneMetrics
  private readonly mostKept: number

  /** `mostKept`: bytes of a transaction beyond which it is not kept to be sent once more. */
  constructor(metrics: LaneMetrics, mostKept: number) {
    this.metrics = metrics
    this.mostKept = mostKept
    this.open = new Transaction(0, mostKept)
  }

  /** Where operators write; changes identity with each `collect`. */
  get outputs(): Outputs {
    return this.filling
  }
  /** When the open transaction got its first record, in ms; -1 while it is empty. */
  get openSince(): number {
    return this.open.since
  }
  /** When this producer's transaction was begun, in ms; -1 before. */
  begunAt(turn: Turn): number {
    return this.transaction(turn).begunAt
  }
  get committing(): boolean {
    return this.sealed !== undefined
  }
  /** No call to a producer is under way. */
  get quiet(): boolean {
    const calling = this.open.calling || this.sealed?.calling === true
    return !calling && !this.initialising[0] && !this.initialising[1]
  }
  get bothReady(): boolean {
    return this.ready[0] && this.ready[1]
  }
  get bufferedBytes(): number {
    return this.open.bufferedBytes + (this.sealed?.bufferedBytes ?? 0)
  }
  /** Both transactions are kept as a whole: they can be sent once more, if they certainly were not committed. */
  get repeatable(): boolean {
    return this.open.repeatable && this.sealed?.repeatable !== false
  }
  get sealable(): boolean {
    return this.sealed === undefined && this.open.since >= 0 && this.ready[this.open.turn]
  }

  /** Moves what the operators wrote into the open transaction, which from now on has something to commit. */
  collect(now: number): void {
    if (this.open.since < 0) this.open.since = now
    if (this.filling.count === 0) return
    this.open.add(this.filling)
    this.filling = this.spare.pop() ?? new Outputs()
  }

  /** Fixes the open transaction with these offsets; the next one opens on the other producer. */
  seal(offsets: readonly Place[], now: number): void {
    this.collect(now)
    this.open.offsets = offsets
    this.open.stage = "producing"
    this.open.sealedAt = now
    this.sealed = this.open
    this.open = new Transaction(this.sealed.turn === 0 ? 1 : 0, this.mostKept)
  }

  produced(turn: Turn): void {
    this.recycle(this.completed(turn).produced())
  }

  flushed(turn: Turn): void {
    this.completed(turn).stage = "sendingOffsets"
  }

  offsetsSent(turn: Turn): void {
    this.completed(turn).stage = "committing"
  }

  /** A producer with a request that ended unanswered gets a new session before its next transaction. */
  committed(turn: Turn, poisoned: boolean, now: number): Command[] {
    const transaction = this.completed(turn)
    this.metrics.commitTook(now - transaction.sealedAt)
    this.metrics.add("recordsOut", transaction.records)
    this.recycle(transaction.end())
    this.sealed = undefined
    return poisoned ? [this.initialise(turn)] : []
  }

  failed(turn: Turn): void {
    this.transaction(turn).calling = false
  }

  initialised(turn: Turn): void {
    this.ready[turn] = true
    this.initialising[turn] = false
  }

  /** Drops both transactions, as if they had never been, and asks for new sessions, which aborts them. */
  reset(): Command[] {
    this.sealed = undefined
    this.open = new Transaction(0, this.mostKept)
    this.filling.clear()
    return this.restart()
  }

  /** Asks for new sessions, which aborts both transactions, and sends them once more in those. */
  repeat(): Command[] {
    this.sealed?.repeat()
    this.open.repeat()
    return this.restart()
  }

  /** The next calls of both transactions, as far as the rules allow. `early`: the open one may begin. */
  drive(early: boolean, now: number): Command[] {
    const commands = this.sealed === undefined ? [] : this.next(this.sealed, now)
    if (early && (this.sealed === undefined || this.sealed.flushed)) commands.push(...this.next(this.open, now))
    return commands
  }

  private next(transaction: Transaction, now: number): Command[] {
    if (transaction.calling || !this.ready[transaction.turn]) return []
    const command = nextCall(transaction, now)
    if (command === undefined) return []
    transaction.calling = true
    return [command]
  }

  private restart(): Command[] {
    return [this.initialise(0), this.initialise(1)]
  }

  private recycle(buffers: readonly Outputs[]): void {
    for (const outputs of buffers) {
      outputs.clear()
      if (this.spare.length < SPARE_BUFFERS) this.spare.push(outputs)
    }
  }

  private initialise(turn: Turn): Command {
    this.ready[turn] = false
    this.initialising[turn] = true
    return { type: "initialise", turn }
  }

  private completed(turn: Turn): Transaction {
    const transaction = this.transaction(turn)
    transaction.calling = false
    return transaction
  }

  private transaction(turn: Turn): Transaction {
    return this.sealed?.turn === turn ? this.sealed : this.open
  }
}

/** Produce what is pending, then, once sealed: flush, offsets, commit. */
const nextCall = (transaction: Transaction, now: number): Command | undefined => {
  const { turn } = transaction
  const outputs = transaction.next
  if (outputs !== undefined) {
    const begin = transaction.begunAt < 0
    if (begin) transaction.begunAt = now
    return { type: "produce", turn, begin, outputs }
  }
  switch (transaction.stage) {
    case "open":
      return undefined
    case "producing":
      transaction.stage = "flushing"
      return { type: "flush", turn }
    case "sendingOffsets":
      return { type: "sendOffsets", turn, offsets: transaction.offsets }
    case "committing":
      return { type: "commit", turn }
    case "flushing":
      return undefined
  }
}
