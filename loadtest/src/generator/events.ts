import { LARGE_CENTS, SMALL_CENTS } from "../scenarios/payments/limits.ts"
import { type AccountEvent, CURRENCIES } from "../scenarios/payments/schemas.ts"
import { windowStart } from "../scenarios/payments/windows.ts"
import { COUNTRIES, DEVICES, MERCHANTS } from "../scenarios/payments/words.ts"
import type { Accounts } from "./accounts.ts"
import type { Planted, Plants } from "./plants.ts"
import { Random, threadSeed } from "./random.ts"
import type { Tally } from "./tally.ts"
import type { Zipf } from "./zipf.ts"

/** How late planted events are: far beyond any bound, so that they are late wherever the watermark stands. */
const LATE_MS = 300_000

/** How long a partition has had events before late ones are planted in it: by then it has a watermark. */
const WARM_MS = 5_000

/** Where it happens, by six bits: most of it in the app. */
const CHANNEL = Array.from({ length: 64 }, (_, bits) =>
  bits < 61 ? "app" : bits === 61 ? "card" : bits === 62 ? "web" : "atm"
)

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
 * times make the same events. Allocates nothing for an event, but for those that are planted.
 *
 * Those that are not planted begin what patterns look for, and never end it: an account pays small amounts or large ones, and
 * either pays on the web or fails to log in there; each stays in its country.
 */
export class EventMaker {
  /** The event made last. Valid until the next one. */
  readonly event: Mutable<AccountEvent> = blankEvent()
  /** Its account's index, and its Kafka key. */
  account = 0
  key: Uint8Array = new Uint8Array(0)
  private readonly random: Random
  private readonly warmFrom: Float64Array
  private id: number

  constructor(
    thread: number,
    firstId: number,
    options: EventOptions,
    accounts: Accounts,
    zipf: Zipf,
    tally: Tally,
    plants?: Plants
  ) {
    this.plants = plants
    this.options = options
    this.accounts = accounts
    this.zipf = zipf
    this.tally = tally
    this.id = firstId
    this.random = new Random(threadSeed(options.seed, thread))
    this.warmFrom = new Float64Array(tally.perPartition.length).fill(Number.POSITIVE_INFINITY)
  }
  private readonly plants: Plants | undefined
  private readonly options: EventOptions
  private readonly accounts: Accounts
  private readonly zipf: Zipf
  private readonly tally: Tally

  /** Makes the next event, meant to be sent at `intended` (ms since the epoch). Returns its partition. */
  next(intended: number): number {
    const { random, event } = this
    event.id = this.id++
    event.sentAt = intended
    const planted = this.plants?.next(intended)
    if (planted !== undefined) return this.plant(planted)
    const account = this.zipf.draw(random)
    const partition = this.accounts.partitions[account]!
    this.account = account
    this.key = this.accounts.keys[account]!
    event.account = this.accounts.names[account]!
    event.at = Math.floor(intended + this.options.eventTimeShiftMs - random.unit() * this.options.disorderMs)
    this.fillDetails(random.bits(), random.bits())
    if (random.unit() < this.options.lateFraction && intended >= this.warmFrom[partition]!) this.makeLate()
    else this.onTime(partition, intended)
    this.count(partition)
    return partition
  }

  private plant(planted: Planted): number {
    const { event, random } = this
    const { index, key, partition } = planted.account
    this.account = index
    this.key = key
    this.fillDetails(random.bits(), random.bits())
    this.plants!.play(planted, event)
    this.onTime(partition, event.sentAt)
    this.count(partition)
    return partition
  }

  private fillDetails(bits: number, amount: number): void {
    const { event, account } = this
    const kind = bits & 0xff
    event.kind = kind < 218 ? "payment" : kind < 244 ? "login" : "transfer"
    event.merchant = MERCHANTS[(bits >>> 8) & 0xff]!
    event.country = COUNTRIES[account & 15]!
    event.channel = CHANNEL[(bits >>> 16) & 63]!
    event.ok = ((bits >>> 22) & 31) !== 0
    event.currency = CURRENCIES[(bits >>> 27) % CURRENCIES.length]!
    // The product of two uniform draws: many small amounts, few large ones, 1 … 200,000 cents.
    const cents = 1 + Math.floor(((amount & 0xffff) * (amount >>> 16) * 200_000) / 0x1_0000_0000)
    event.cents = (account & 1) === 0 ? Math.min(cents, LARGE_CENTS) : Math.max(cents, SMALL_CENTS)
    if (event.channel === "web") this.keepApart()
    event.device = DEVICES[(bits ^ amount) & 1023]!
  }

  /** An account that pays on the web never fails to log in there, and the other way round. */
  private keepApart(): void {
    if ((this.account & 2) === 0) this.event.ok = true
    else if (this.event.kind === "payment") this.event.channel = "app"
  }

  private makeLate(): void {
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
