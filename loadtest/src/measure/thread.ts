import type { Consumer } from "@headrace/kafka"
import { now } from "../clock.ts"
import { Gauges, METER } from "../gauges.ts"
import type { MeterResult, MeterTask, Requests } from "../messages.ts"
import { firstId } from "../scenarios/payments/ids.ts"
import { TOPICS } from "../scenarios/payments/topics.ts"
import { serve } from "../serve.ts"
import { Audit } from "./audit.ts"
import { totalsOf } from "./checksum.ts"
import { type OutputReader, openOutputReader } from "./outputs.ts"
import { endsOf, lastEventTime, openReader, Reading } from "./reading.ts"

const POLL_MS = 100
const GAUGES_MS = 200
const RECENT_MS = 2_000
const CLOSE_MS = 2_000
const EXAMPLES = 5

/** Runs the meter in this thread. */
export const serveMeter = (task: MeterTask): void => {
  const meter = new Meter(task)
  serve({
    positions: body => meter.positions(body),
    measure: body => meter.measure(body),
    result: async ({ sent }) => meter.result(sent),
    end: () => meter.end()
  })
}

/** Reads what the pipeline commits, as any other reader would: read_committed, without a group, from given offsets. */
class Meter {
  private readonly gauges: Gauges<(typeof METER)[number]>
  private consumer: Consumer | undefined
  private starts: readonly { topic: string; partition: number; offset: number }[] = []
  private audit: Audit | undefined
  private run = 0
  private ending = false
  private loop: Promise<void> = Promise.resolve()
  private failure: unknown

  constructor(task: MeterTask) {
    this.task = task
    this.gauges = new Gauges(METER, task.gauges)
  }
  private readonly task: MeterTask

  async positions({ partitions }: Requests["positions"]["ask"]): Promise<Requests["positions"]["answer"]> {
    const consumer = this.open()
    const { scored, spend, late, alerts } = TOPICS
    this.starts = await endsOf(consumer, [scored, spend, late, alerts], partitions)
    return { lastAt: await lastEventTime(consumer, this.task.registry, partitions) }
  }

  /** Begins to read; answers once it does. */
  async measure(scope: Requests["measure"]["ask"]): Promise<null> {
    const consumer = this.open()
    const audit = new Audit(scope)
    const reader = await openOutputReader(this.task.registry, audit)
    this.audit = audit
    this.run = scope.run
    await consumer.assign(this.starts)
    this.loop = this.read(new Reading(consumer), reader, audit).catch(error => {
      this.failure = error
    })
    return null
  }

  result(sent: readonly number[]): MeterResult {
    if (this.failure !== undefined) throw this.failure
    const audit = this.audit
    if (audit === undefined) throw new Error("the meter was asked for a result before it measured")
    return {
      distinct: sent.map((count, thread) => audit.distinct(thread, count)),
      missing: sent.flatMap((count, thread) =>
        audit.missing(thread, count, EXAMPLES).map(sequence => firstId(this.run, thread) + sequence)
      ),
      duplicated: audit.duplicated,
      disordered: audit.disordered,
      windowCount: audit.windowCount,
      windowsDuplicated: audit.windowsDuplicated,
      windows: totalsOf(audit.windows),
      spent: audit.spent,
      late: audit.lateCount,
      alerts: audit.alerts,
      lastAt: audit.lastAt,
      latency: audit.latency.quantiles()
    }
  }

  async end(): Promise<null> {
    this.ending = true
    await this.loop
    await this.consumer?.close(CLOSE_MS)
    return null
  }

  private open(): Consumer {
    this.consumer ??= openReader(this.task.kafka)
    return this.consumer
  }

  private async read(reading: Reading, reader: OutputReader, audit: Audit): Promise<void> {
    const pulse = new Pulse(audit, this.gauges)
    while (!this.ending) {
      const batch = await reading.poll(POLL_MS)
      await reader.take(batch, now())
      pulse.beat(now())
    }
  }
}

/** Shows the audit's state in the gauges now and then: quantiles are not for free. */
class Pulse {
  private shownAt = 0
  private recentAt = 0
  private recent = { p50: 0, p99: 0 }

  constructor(audit: Audit, gauges: Gauges<(typeof METER)[number]>) {
    this.audit = audit
    this.gauges = gauges
  }
  private readonly audit: Audit
  private readonly gauges: Gauges<(typeof METER)[number]>

  beat(at: number): void {
    if (at - this.shownAt < GAUGES_MS) return
    this.shownAt = at
    if (at - this.recentAt >= RECENT_MS) this.takeRecent(at)
    const { audit, recent } = this
    const whole = audit.latency.quantiles()
    this.gauges.set({
      received: audit.received,
      duplicated: audit.duplicated + audit.windowsDuplicated,
      windows: audit.windowCount,
      payments: audit.windows.payments,
      late: audit.lateCount,
      alerts: audit.alertCount,
      p50: whole.p50,
      p99: whole.p99,
      recentP50: recent.p50,
      recentP99: recent.p99,
      lastAt: audit.lastAt
    })
  }

  private takeRecent(at: number): void {
    this.recentAt = at
    this.recent = this.audit.latency.takeRecent()
  }
}
