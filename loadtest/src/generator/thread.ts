import { KafkaError, Producer } from "@headrace/kafka"
import { now } from "../clock.ts"
import { openEncoder } from "../codecs.ts"
import { Gauges, GENERATOR } from "../gauges.ts"
import { totalsOf } from "../measure/checksum.ts"
import type { GeneratorResult, GeneratorTask, Requests } from "../messages.ts"
import { CLOSING_THREAD, firstId } from "../scenarios/payments/ids.ts"
import { AccountEvent } from "../scenarios/payments/schemas.ts"
import { TOPICS } from "../scenarios/payments/topics.ts"
import { serve } from "../serve.ts"
import { Accounts } from "./accounts.ts"
import { EventMaker, heartbeat } from "./events.ts"
import { Load } from "./load.ts"
import { ArenaOutbox } from "./outbox.ts"
import { Plants } from "./plants.ts"
import { Random, threadSeed } from "./random.ts"
import { makeSchedule } from "./schedule.ts"
import { Tally } from "./tally.ts"
import { Zipf } from "./zipf.ts"

/** Between two rounds of sending. Events leave up to this much after their intended time; their latency includes it. */
const TICK_MS = 2
const FLUSH_MS = 1_000
const CLOSE_MS = 2_000

/** Idempotent, not transactional: what it sends is there once and in order, whatever happens to connections. */
const settingsOf = ({ kafka, thread }: GeneratorTask): Record<string, string> => ({
  "client.id": `headrace-loadtest-${thread}`,
  "enable.idempotence": "true",
  acks: "all",
  "compression.type": "lz4",
  "linger.ms": "20",
  "batch.size": "262144",
  "queue.buffering.max.messages": "400000",
  "queue.buffering.max.kbytes": "131072",
  // Never gives a message up: a broker that is away makes the generator fall behind, which shows.
  "message.timeout.ms": "0",
  ...kafka.settings,
  "bootstrap.servers": kafka.bootstrap
})

/** Runs a generator in this thread. */
export const serveGenerator = (task: GeneratorTask): void => {
  let generator: Promise<Generator> | undefined
  const opened = () => (generator ??= openGenerator(task))
  serve({
    prepare: async () => {
      await opened()
      return null
    },
    send: async body => (await opened()).send(body),
    stop: async () => (await opened()).stop(),
    close: async ({ at }) => (await opened()).close(at),
    end: async () => (generator === undefined ? null : (await generator).end())
  })
}

const openGenerator = async (task: GeneratorTask): Promise<Generator> => {
  const encoder = await openEncoder(task.registry, AccountEvent, TOPICS.events)
  const producer = Producer.open(settingsOf(task))
  const accounts = new Accounts(task.accounts, task.partitions)
  return new Generator(task, producer, new ArenaOutbox(producer, producer.topicId(TOPICS.events), encoder), accounts)
}

class Generator {
  private readonly zipf: Zipf
  private readonly tally: Tally
  private readonly gauges: Gauges<(typeof GENERATOR)[number]>
  private stopping = false
  private ending = false
  private closings = 0

  constructor(task: GeneratorTask, producer: Producer, outbox: ArenaOutbox, accounts: Accounts) {
    this.task = task
    this.producer = producer
    this.outbox = outbox
    this.accounts = accounts
    this.zipf = new Zipf(task.accounts, task.zipf)
    this.tally = new Tally(task.partitions)
    this.gauges = new Gauges(GENERATOR, task.gauges)
  }
  private readonly task: GeneratorTask
  private readonly producer: Producer
  private readonly outbox: ArenaOutbox
  private readonly accounts: Accounts

  async send({ startAt, eventTimeShiftMs }: Requests["send"]["ask"]): Promise<GeneratorResult> {
    const plants = this.plantsFrom(startAt, eventTimeShiftMs)
    const load = this.loadFrom(startAt, eventTimeShiftMs, plants)
    while (!load.finished && !this.ending) {
      if (this.stopping) load.stop()
      load.tick(now())
      this.gauges.set(load.gauge)
      await sleep(TICK_MS)
    }
    return this.result(load, plants, await this.flushed())
  }

  async stop(): Promise<null> {
    this.stopping = true
    return null
  }

  /** A closing event into each partition that has an account: pushes its watermark to the bound before `at`. */
  async close(at: number): Promise<null> {
    const { outbox, accounts, task } = this
    for (let partition = 0; partition < task.partitions; partition++) {
      const account = accounts.in(partition)
      if (account === undefined) continue
      const id = firstId(task.run, CLOSING_THREAD) + this.closings++
      outbox.put(accounts.keys[account]!, heartbeat(id, accounts.names[account]!, at, now()), partition)
    }
    while (!outbox.send()) await sleep(TICK_MS)
    await this.flushed()
    return null
  }

  async end(): Promise<null> {
    this.ending = true
    await this.producer.close(CLOSE_MS)
    return null
  }

  private loadFrom(startAt: number, eventTimeShiftMs: number, plants: Plants): Load {
    const { task, accounts, zipf, tally } = this
    const { thread, threads } = task
    const options = { ...task.events, eventTimeShiftMs }
    const maker = new EventMaker(thread, firstId(task.run, thread), options, accounts, zipf, tally, plants)
    return new Load(makeSchedule(task.rate, task.forMs, task.burst), { thread, threads, startAt }, maker, this.outbox)
  }

  private plantsFrom(startAt: number, eventTimeShiftMs: number): Plants {
    const { run, thread, threads, partitions, forMs, events } = this.task
    const { disorderMs, seed } = events
    const options = { run, thread, threads, partitions, disorderMs, eventTimeShiftMs, endAt: startAt + forMs }
    return new Plants(options, new Random(~threadSeed(seed, thread)))
  }

  /** Waits until everything is acknowledged, for as long as that takes, unless the thread is to end. */
  private async flushed(): Promise<number> {
    while (this.producer.pending > 0 && !this.ending) await this.producer.flush(FLUSH_MS).catch(passTimeout)
    return this.producer.pending
  }

  private result(load: Load, plants: Plants, unacknowledged: number): GeneratorResult {
    const { tally } = this
    return {
      sent: load.gauge.sent,
      unacknowledged,
      late: tally.late,
      windows: totalsOf(tally.windows),
      scripts: plants.begun,
      alerts: plants.alerts(),
      maxAt: tally.maxAt,
      perPartition: [...tally.perPartition],
      behindMaxMs: load.gauge.behindMaxMs,
      queueFull: load.gauge.queueFull
    }
  }
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms))

/** Kafka takes its time; what was refused for good is an error. */
const passTimeout = (error: unknown): void => {
  if (!(error instanceof KafkaError) || error.reason !== "TimedOut") throw error
}
