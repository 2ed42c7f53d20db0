import type { EventMaker } from "./events.ts"
import type { Schedule } from "./schedule.ts"

/** Where events are encoded and handed to the producer. */
export interface Outbox {
  /** Whether it has room for one event more. */
  readonly hasRoom: () => boolean
  /** Takes the maker's event. Only when there is room. */
  readonly add: (maker: EventMaker, partition: number) => void
  /** Hands over what it holds. False where the producer's queue took only a part: the rest stays for the next time. */
  readonly send: () => boolean
}

/** What a generator thread shows while it runs. */
export interface LoadGauge {
  /** Events handed to the producer or waiting in the outbox for it. */
  sent: number
  /** How far the next event is behind its intended time now, and at the worst, ms. */
  behindMs: number
  behindMaxMs: number
  /** How many times the producer's queue was full. */
  queueFull: number
}

/** A thread's part of the schedule: events `thread`, `thread + threads`, … */
export interface Share {
  readonly thread: number
  readonly threads: number
  readonly startAt: number
}

/** Outboxes that one tick sends at most, so that a generator that catches up still hears what it is told. */
const MAX_ROUNDS = 8

/**
 * The open loop of one thread. It sends what is due, never waits for the system under load and never skips: when it
 * falls behind, the next tick sends all the more, each event with its own intended time. No clock of its own.
 */
export class Load {
  readonly gauge: LoadGauge = { sent: 0, behindMs: 0, behindMaxMs: 0, queueFull: 0 }
  private nextEvent: number
  private nextAt: number
  /** The intended time of the first event in the outbox, and whether any waits there. */
  private oldestAt = 0
  private pending = false
  private total: number

  constructor(schedule: Schedule, share: Share, maker: EventMaker, outbox: Outbox) {
    this.schedule = schedule
    this.share = share
    this.maker = maker
    this.outbox = outbox
    this.total = schedule.total
    this.nextEvent = share.thread
    this.nextAt = share.startAt + schedule.intendedMs(share.thread)
  }
  private readonly schedule: Schedule
  private readonly share: Share
  private readonly maker: EventMaker
  private readonly outbox: Outbox

  /** Every event of this thread is made and handed over. */
  get finished(): boolean {
    return this.nextEvent >= this.total && !this.pending
  }

  /** No new events from now on: what was made is still handed over. */
  stop(): void {
    this.total = Math.min(this.total, this.nextEvent)
  }

  /** Sends what is due at `now` (ms since the epoch), as far as the producer takes it. Called every few ms. */
  tick(now: number): void {
    this.measureDelay(now)
    if (this.pending) this.pending = !this.outbox.send()
    for (let rounds = 0; rounds < MAX_ROUNDS && !this.pending && this.isDue(now); rounds++) {
      this.fill(now)
      this.pending = !this.outbox.send()
    }
    if (this.pending) this.gauge.queueFull++
  }

  private isDue(now: number): boolean {
    return this.nextAt <= now && this.nextEvent < this.total
  }

  private fill(now: number): void {
    this.oldestAt = this.nextAt
    while (this.isDue(now) && this.outbox.hasRoom()) {
      this.outbox.add(this.maker, this.maker.next(this.nextAt))
      this.gauge.sent++
      this.nextEvent += this.share.threads
      this.nextAt = this.share.startAt + this.schedule.intendedMs(this.nextEvent)
    }
  }

  /** How late the oldest event is that the producer has not got yet. Between two ticks it is less than a tick. */
  private measureDelay(now: number): void {
    const oldest = this.pending ? this.oldestAt : this.isDue(now) ? this.nextAt : now
    this.gauge.behindMs = now - oldest
    this.gauge.behindMaxMs = Math.max(this.gauge.behindMaxMs, this.gauge.behindMs)
  }
}
