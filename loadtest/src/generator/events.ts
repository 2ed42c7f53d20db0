import { type AccountEvent, CHANNELS, CURRENCIES } from "../scenarios/payments/schemas.ts"
import { windowStart } from "../scenarios/payments/windows.ts"
import { COUNTRIES, DEVICES, MERCHANTS } from "../scenarios/payments/words.ts"
import type { Accounts } from "./accounts.ts"
import { Random, threadSeed } from "./random.ts"
import type { Tally } from "./tally.ts"
import type { Zipf } from "./zipf.ts"

/** How late planted events are: far beyond any bound, so that they are late wherever the watermark stands. */
const LATE_MS = 300_000

/** How long a partition has had events before late ones are planted in it: by then it has a watermark. */
const WARM_MS = 5_000

/** The shape of the events of a run. */
export interface EventOptions {
  readonly seed: number
  /** Event times lie up to this far before the intended send time, uniformly. */
  readonly disorderMs: number
  /** The share of all events that are payments planted minutes late, 0 … 1. */
  readonly lateFraction: number
  /** Added to event times, so that a run starts beyond the watermark that the one before left. */
  readonly eventTimeShiftMs: number
}

type Mutable<A> = { -readonly [K in keyof A]: A[K] }

/**
 * Makes the events of one thread, one after the other, into one reusable object. The same seed, thread and intended
 * times make the same events. Allocates nothing for an event.
 */
export class EventMaker {
  /** The event made last. Valid until the next one. */
  readonly event: Mutable<AccountEvent> = blankEvent()
  /** Its account's index. */
  account = 0
  private readonly random: Random
  private readonly warmFrom: Float64Array
  private id: number

  constructor(thread: number, firstId: number, options: EventOptions, accounts: Accounts, zipf: Zipf, tally: Tally) {
    this.options = options
    this.accounts = accounts
    this.zipf = zipf
    this.tally = tally
    this.id = firstId
    this.random = new Random(threadSeed(options.seed, thread))
    this.warmFrom = new Float64Array(tally.perPartition.length).fill(Number.POSITIVE_INFINITY)
  }
  private readonly options: EventOptions
  private readonly accounts: Accounts
  private readonly zipf: Zipf
  private readonly tally: Tally

  /** Makes the next event, meant to be sent at `intended` (ms since the epoch). Returns its partition. */
  next(intended: number): number {
    const { random, event } = this
    const account = this.zipf.draw(random)
    const partition = this.accounts.partitions[account]!
    this.account = account
    event.id = this.id++
    event.account = this.accounts.names[account]!
    event.sentAt = intended
    event.at = Math.floor(intended + this.options.eventTimeShiftMs - random.unit() * this.options.disorderMs)
    this.fillDetails(random.bits(), random.bits())
    if (random.unit() < this.options.lateFraction && intended >= this.warmFrom[partition]!) this.plantLate()
    else this.onTime(partition, intended)
    this.count(partition)
    return partition
  }

  private fillDetails(bits: number, amount: number): void {
    const event = this.event
    const kind = bits & 0xff
    event.kind = kind < 218 ? "payment" : kind < 244 ? "login" : "transfer"
    event.merchant = MERCHANTS[(bits >>> 8) & 0xff]!
    event.country = COUNTRIES[(bits >>> 16) & 15]!
    event.channel = CHANNELS[(bits >>> 20) & 3]!
    event.ok = ((bits >>> 22) & 31) !== 0
    event.currency = CURRENCIES[(bits >>> 27) % CURRENCIES.length]!
    // The product of two uniform draws: many small amounts, few large ones, 1 … 200,000 cents.
    event.cents = 1 + Math.floor(((amount & 0xffff) * (amount >>> 16) * 200_000) / 0x1_0000_0000)
    event.device = DEVICES[(bits ^ amount) & 1023]!
  }

  private plantLate(): void {
    this.event.kind = "payment"
    this.event.at -= LATE_MS
    this.tally.late++
  }

  private onTime(partition: number, intended: number): void {
    if (this.warmFrom[partition] === Number.POSITIVE_INFINITY) this.warmFrom[partition] = intended + WARM_MS
    if (this.event.at > this.tally.maxAt) this.tally.maxAt = this.event.at
  }

  private count(partition: number): void {
    const { event, tally } = this
    tally.perPartition[partition]!++
    if (event.kind === "payment") tally.windows.add(this.account, windowStart(event.at), 1, event.cents)
  }
}

const blankEvent = (): Mutable<AccountEvent> => ({
  id: 0,
  kind: "payment",
  account: "",
  at: 0,
  sentAt: 0,
  cents: 0,
  currency: "EUR",
  merchant: "",
  country: "",
  channel: "card",
  device: "",
  ok: true
})

/**
 * An event that moves a partition's watermark to just below `at` minus its bound. No audit counts it, since its
 * kind is in no window and its id belongs to no generator thread.
 */
export const heartbeat = (id: number, account: string, at: number, now: number): AccountEvent => ({
  ...blankEvent(),
  id,
  kind: "heartbeat",
  account,
  at,
  sentAt: now
})
