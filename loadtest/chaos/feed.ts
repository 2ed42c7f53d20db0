import { Producer } from "@headrace/kafka"
import { openEncoder } from "../src/codecs.ts"
import { Accounts } from "../src/generator/accounts.ts"
import { ArenaOutbox } from "../src/generator/outbox.ts"
import { Random } from "../src/generator/random.ts"
import { type Movement, Movement as MovementSchema, TOPICS } from "./job/movement.ts"

const TICK_MS = 5
const MAX_CENTS = 1000
/** A tick that catches up sends no more than this: proxies and drivers share its thread. */
const MAX_A_TICK = 4000

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

/** The load: idempotent, in order, and never gives a message up. What it sent is known by one number. */
export class Feed {
  /** Events handed to Kafka; their ids are 0 … sent − 1. */
  sent = 0
  private readonly event: Movement & { -readonly [K in keyof Movement]: Movement[K] }
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
    this.event = { id: 0, account: "", sentAt: 0, cents: 0 }
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

  /** A movement of each account. */
  async fill(): Promise<void> {
    while (this.sent < this.options.accounts) {
      if (!this.blocked) this.put(Math.min(MAX_A_TICK, this.options.accounts - this.sent))
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

  /** No more events; settles when Kafka has acknowledged all of them. */
  async stop(): Promise<void> {
    clearInterval(this.timer)
    while (this.blocked) {
      this.blocked = !this.outbox.send()
      await sleep(TICK_MS)
    }
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
    const { event, random, accounts, options } = this
    for (let i = 0; i < count && this.outbox.hasRoom(); i++) {
      const account = this.sent < options.accounts ? this.sent : random.below(options.accounts)
      event.id = this.sent++
      event.account = accounts.names[account]!
      event.sentAt = Date.now()
      event.cents = 1 + random.below(MAX_CENTS)
      this.outbox.put(accounts.keys[account]!, event, accounts.partitions[account]!)
    }
    this.blocked = !this.outbox.send()
  }
}

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
