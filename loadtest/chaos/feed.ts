import { Producer } from "@headrace/kafka"
import { now } from "../src/clock.ts"
import { openEncoder } from "../src/codecs.ts"
import { Accounts } from "../src/generator/accounts.ts"
import { ArenaOutbox } from "../src/generator/outbox.ts"
import { type Planted, Plants } from "../src/generator/plants.ts"
import { Random } from "../src/generator/random.ts"
import type { AlertName } from "../src/scenarios/payments/due.ts"
import { SILENCE_MS } from "../src/scenarios/payments/limits.ts"
import { BOUND_MS, type Movement, Movement as MovementSchema, TOPICS } from "./job/movement.ts"

const TICK_MS = 5
const MAX_CENTS = 1000
/** A tick that catches up sends no more than this: proxies and drivers share its thread. */
const MAX_A_TICK = 4000
/** What is planted is sent up to so long after it happened: less than the bound, so that none of it is late. */
const DISORDER_MS = 2_000

export interface FeedOptions {
  readonly bootstrap: string
  readonly registry: string
  readonly partitions: number
  /** Each account gets a movement first, as fast as it goes; then accounts are drawn evenly. */
  readonly accounts: number
  /** Events a second after that. */
  readonly rate: number
  readonly seed: number
}

/**
 * The load: idempotent, in order, and never gives a message up. What it sent is known by one number, and the alerts that are due for
 * it by what was planted. Event time is when an event is handed over: whatever is in the way of one makes none late.
 */
export class Feed {
  /** Events handed to Kafka; their ids are 0 … sent − 1. */
  sent = 0
  private readonly event = blankEvent()
  private readonly plants: Plants
  /** Accounts that have had their first movement. */
  private filled = 0
  private startedAt = 0
  private base = 0
  private blocked = false
  private timer: ReturnType<typeof setInterval> | undefined

  private constructor(options: FeedOptions, producer: Producer, outbox: ArenaOutbox, accounts: Accounts) {
    this.options = options
    this.producer = producer
    this.outbox = outbox
    this.accounts = accounts
    this.random = new Random(options.seed)
    const { partitions } = options
    // Whoever ends the run, and when, is not known: a script that is cut short is due what it is due.
    const whole = {
      ...{ run: 0, thread: 0, threads: 1 },
      partitions,
      eventTimeShiftMs: 0,
      endAt: Number.POSITIVE_INFINITY
    }
    this.plants = new Plants({ ...whole, disorderMs: DISORDER_MS }, new Random(~options.seed))
  }
  private readonly options: FeedOptions
  private readonly producer: Producer
  private readonly outbox: ArenaOutbox
  private readonly accounts: Accounts
  private readonly random: Random

  static async open(options: FeedOptions): Promise<Feed> {
    const encoder = await openEncoder({ url: options.registry }, MovementSchema, TOPICS.movements)
    const producer = Producer.open(settings(options.bootstrap))
    const accounts = new Accounts(options.accounts, options.partitions)
    const outbox = new ArenaOutbox(producer, producer.topicId(TOPICS.movements), encoder)
    return new Feed(options, producer, outbox, accounts)
  }

  /** Sequences that were planted, those included that only nearly match. */
  get planted(): number {
    return this.plants.begun
  }

  /** What is to be found in all that was sent. */
  alerts(): readonly AlertName[] {
    return this.plants.alerts()
  }

  /** A movement of each account. */
  async fill(): Promise<void> {
    while (this.filled < this.options.accounts) {
      if (!this.blocked) this.put(Math.min(MAX_A_TICK, this.options.accounts - this.filled))
      else this.blocked = !this.outbox.send()
      await sleep(0)
    }
  }

  /** Sends at the rate from now on. */
  start(): void {
    this.startedAt = performance.now()
    this.base = this.sent
    this.timer = setInterval(() => this.tick(), TICK_MS)
  }

  /** No more events but a last one in each partition; settles when Kafka has acknowledged all of them. */
  async stop(): Promise<void> {
    clearInterval(this.timer)
    await this.handedOver()
    this.end()
    await this.handedOver()
    while (this.producer.pending > 0) await this.producer.flush(1000).catch(stillPending)
  }

  close(): Promise<void> {
    clearInterval(this.timer)
    return this.producer.close(2000)
  }

  private tick(): void {
    if (this.blocked) this.blocked = !this.outbox.send()
    const due = this.base + ((performance.now() - this.startedAt) * this.options.rate) / 1000
    if (!this.blocked) this.put(Math.min(MAX_A_TICK, Math.floor(due - this.sent)))
  }

  private put(count: number): void {
    for (let i = 0; i < count && this.outbox.hasRoom(); i++) {
      const at = now()
      const planted = this.plants.next(at)
      if (planted === undefined) this.move(this.nextAccount(), at, at)
      else this.plant(planted, at)
    }
    this.blocked = !this.outbox.send()
  }

  private nextAccount(): number {
    const { accounts } = this.options
    return this.filled < accounts ? this.filled++ : this.random.below(accounts)
  }

  /** One of those that nobody looks for: some begin what patterns look for, and none ends it. */
  private move(account: number, at: number, sentAt: number): void {
    const { event, accounts } = this
    event.account = accounts.names[account]!
    event.at = Math.floor(at)
    event.kind = "payment"
    event.channel = "app"
    event.cents = 1 + this.random.below(MAX_CENTS)
    event.ok = true
    this.send(accounts.keys[account]!, accounts.partitions[account]!, sentAt)
  }

  private plant(planted: Planted, sentAt: number): void {
    this.event.id = this.sent
    this.plants.play(planted, this.event)
    this.send(planted.account.key, planted.account.partition, sentAt)
  }

  private send(key: Uint8Array, partition: number, sentAt: number): void {
    this.event.id = this.sent++
    this.event.sentAt = sentAt
    this.outbox.put(key, this.event, partition)
  }

  /** Lets event time pass in each partition, beyond every silence. */
  private end(): void {
    const sentAt = now()
    for (let partition = 0; partition < this.options.partitions; partition++) {
      const account = this.accounts.in(partition)
      if (account !== undefined) this.move(account, sentAt + SILENCE_MS + BOUND_MS + 1_000, sentAt)
    }
    this.blocked = !this.outbox.send()
  }

  private async handedOver(): Promise<void> {
    while (this.blocked) {
      this.blocked = !this.outbox.send()
      await sleep(TICK_MS)
    }
  }
}

const blankEvent = (): { -readonly [K in keyof Movement]: Movement[K] } & { sentAt: number } => ({
  id: 0,
  kind: "payment",
  account: "",
  at: 0,
  sentAt: 0,
  cents: 0,
  country: "DE",
  channel: "app",
  ok: true
})

const settings = (bootstrap: string): Record<string, string> => ({
  "bootstrap.servers": bootstrap,
  "client.id": "headrace-chaos-feed",
  "enable.idempotence": "true",
  acks: "all",
  "compression.type": "lz4",
  "linger.ms": "5",
  "queue.buffering.max.messages": "400000",
  "message.timeout.ms": "0",
  "reconnect.backoff.max.ms": "500"
})

const stillPending = (error: unknown): void => {
  if (!(error instanceof Error && "reason" in error && error.reason === "TimedOut")) throw error
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))
