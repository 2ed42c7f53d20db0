import { MAX_ACCOUNTS } from "../generator/accounts.ts"
import { type AlertName, alertName } from "../scenarios/payments/due.ts"
import { CLOSING_THREAD, runOf, sequenceOf, threadOf } from "../scenarios/payments/ids.ts"
import type { Alert } from "../scenarios/payments/schemas.ts"
import { WindowSum } from "./checksum.ts"
import { Latency } from "./latency.ts"
import { BitSet } from "./seen.ts"

/** What a run's output is recognised by. */
export interface AuditScope {
  readonly run: number
  readonly threads: number
  readonly partitions: number
  readonly accounts: number
  /** The number of accounts that it may plant scripts on. */
  readonly planted: number
  /** The first window of this run; earlier ones belong to somebody else. */
  readonly firstWindow: number
  readonly windowMs: number
  /** Events meant to be sent before this moment count in the audit, but not in the latency. */
  readonly latencyFrom: number
}

/**
 * Everything that came out, compared by id and by window with what went in. Fed record by record in the order of the
 * partitions; remembers one bit for each event and each window of an account.
 */
export class Audit {
  readonly latency = new Latency()
  /** Payments and cents of all windows and late events. */
  readonly windows = new WindowSum()
  /** Those of the windows alone. */
  readonly spent = { payments: 0, cents: 0 }
  duplicated = 0
  disordered = 0
  windowCount = 0
  windowsDuplicated = 0
  lateCount = 0
  /** Alerts, also those that came before; and what they are. */
  alertCount = 0
  readonly alerts = new Map<AlertName, number>()
  /** Distinct events, and when the last new one came. */
  received = 0
  lastAt = 0
  private readonly seen: readonly BitSet[]
  private readonly lateSeen: readonly BitSet[]
  private readonly windowSeen = new BitSet()
  private readonly lastSequence: Float64Array

  constructor(scope: AuditScope) {
    this.scope = scope
    this.seen = Array.from({ length: scope.threads }, () => new BitSet())
    this.lateSeen = Array.from({ length: scope.threads }, () => new BitSet())
    this.lastSequence = new Float64Array(scope.threads * scope.partitions).fill(-1)
  }
  private readonly scope: AuditScope

  /** A scored event that a consumer got at `now`. */
  scored(id: number, sentAt: number, partition: number, now: number): void {
    const thread = this.threadIn(id)
    if (thread < 0) return
    const sequence = sequenceOf(id)
    if (!this.seen[thread]!.add(sequence)) {
      this.duplicated++
      return
    }
    this.inOrder(thread * this.scope.partitions + partition, sequence)
    this.received++
    this.lastAt = now
    if (sentAt >= this.scope.latencyFrom) this.latency.record(now - sentAt)
  }

  /** A window's result. */
  window(account: number, windowStart: number, payments: number, cents: number): void {
    const { firstWindow, windowMs, accounts, planted } = this.scope
    const index = (windowStart - firstWindow) / windowMs
    const place = this.placeOf(account)
    if (index < 0 || place < 0) return
    this.windowCount++
    this.spent.payments += payments
    this.spent.cents += cents
    if (!this.windowSeen.add(index * (accounts + planted) + place)) this.windowsDuplicated++
    this.windows.add(account, windowStart, payments, cents)
  }

  /** An event that came too late for its window, which would have begun at `windowStart`. */
  late(id: number, account: number, windowStart: number, cents: number): void {
    const thread = this.threadIn(id)
    if (thread < 0) return
    if (this.lateSeen[thread]!.add(sequenceOf(id))) this.lateCount++
    this.windows.add(account, windowStart, 1, cents)
  }

  /** A pattern that was found. */
  alert(alert: Pick<Alert, "rule" | "firstId" | "lastId">): void {
    if (runOf(alert.firstId) !== this.scope.run) return
    const name = alertName(alert)
    this.alertCount++
    this.alerts.set(name, (this.alerts.get(name) ?? 0) + 1)
  }

  /** How many distinct events of a thread there are below the number that it sent. */
  distinct(thread: number, sent: number): number {
    const seen = this.seen[thread]!
    return Math.min(seen.size, sent)
  }

  /** Some ids that are missing, for a message. */
  missing(thread: number, sent: number, limit: number): readonly number[] {
    const missing: number[] = []
    for (let n = 0; n < sent && missing.length < limit; n++) if (!this.seen[thread]!.has(n)) missing.push(n)
    return missing
  }

  /** An account's place among those of the run, planted ones last; -1 if it is none of them. */
  private placeOf(account: number): number {
    const { accounts, planted } = this.scope
    if (account < accounts) return account
    return account >= MAX_ACCOUNTS && account < MAX_ACCOUNTS + planted ? accounts + account - MAX_ACCOUNTS : -1
  }

  private inOrder(lane: number, sequence: number): void {
    if (sequence < this.lastSequence[lane]!) this.disordered++
    else this.lastSequence[lane] = sequence
  }

  private threadIn(id: number): number {
    const thread = threadOf(id)
    return runOf(id) === this.scope.run && thread < this.scope.threads && thread !== CLOSING_THREAD ? thread : -1
  }
}
