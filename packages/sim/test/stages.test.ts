/** What crosses from one stage to the next: records, watermarks, idleness, the end of event time. Task by task, but for what a lane makes of it. */
import { expect, test } from "bun:test"
import { ByteWriter, END_OF_TIME, NO_WATERMARK } from "@headrace/core"
import { exchangeTopics, KEY_LENGTH, OUTPUT_STRIDE, Outputs, outputTopics, STRIDE } from "@headrace/engine"
import { Effect, Schema } from "effect"
import { Agg, DeadLetter, Pipeline, type Plan, Sink, Source, toPlan, Window } from "headrace"
import {
  EnvelopeReader,
  exchangeOver,
  IDLE,
  makeTask,
  RECORD,
  type Task,
  type TaskParts,
  WATERMARK
} from "../src/engine.ts"
import { chainParts } from "../src/parts.ts"
import { EventSchema, groupOf, planOf, SOURCE } from "../src/pipelines.ts"
import { APP, World } from "../src/world.ts"
import { Bench, batchOf } from "./bench.ts"

const IDLE_AFTER_MS = 1_000
/** The least time between two watermarks. */
const INTERVAL_MS = 100
const PARTITIONS = 2
const Total = Schema.Struct({ key: Schema.String, windowStart: Schema.Int, windowEnd: Schema.Int, n: Schema.Int })

const keyed: Plan = toPlan(
  Pipeline.make("sim")
    .from(Source.kafka(SOURCE, EventSchema, { eventTime: one => one.at, key: "account", idleTimeout: IDLE_AFTER_MS }))
    .keyBy(groupOf)
    .window(Window.tumbling("1 second"), { n: Agg.count() })
    .to(Sink.kafka("totals", Total))
)
/** Over all keys, in two phases. */
const folded: Plan = toPlan(
  Pipeline.make("sim")
    .from(Source.kafka(SOURCE, EventSchema, { eventTime: one => one.at, key: "account", idleTimeout: IDLE_AFTER_MS }))
    .windowAll(Window.tumbling("1 second"), { n: Agg.count() })
    .to(
      Sink.kafka(
        "totals",
        Total.mapFields(({ key: _, ...fields }) => fields)
      )
    )
)
/** Three stages. */
const again: Plan = toPlan(
  Pipeline.make("sim")
    .from(Source.kafka(SOURCE, EventSchema, { eventTime: one => one.at, key: "account", idleTimeout: IDLE_AFTER_MS }))
    .keyBy(groupOf)
    .window(Window.tumbling("1 second"), { n: Agg.count() })
    .keyBy(one => `n${one.n}`)
    .window(Window.tumbling("2 seconds"), { n: Agg.count() })
    .to(Sink.kafka("totals", Total))
)
const stageOf = (plan: Plan): string => exchangeTopics(plan, APP)[0]!
const event = (id: number, at: number, cents = 5) => ({ id, account: `a${id}`, cents, at })
const text = new TextDecoder()

/** Two partitions of the source, and the two behind the exchange. */
class Stages {
  readonly parts: TaskParts
  sources: readonly Task[]
  stages: readonly Task[]
  /** Watermarks and the like that have been sent. */
  signals = 0
  /** What kinds of them the stage has sent on to the one behind it. */
  beyond: number[] = []
  /** Records that have crossed. */
  crossed = 0
  /** Windows that came out, as `key@start`. */
  readonly totals: string[] = []
  private readonly outputs = new Outputs()
  private readonly offsets = new Map<Task, number>()
  /** What each partition has written of its state so far. */
  private readonly changes = new Map<string, ByteWriter>()
  private readonly stage: string
  private readonly between: readonly string[]
  private readonly topics: readonly string[]

  constructor(plan: Plan = keyed) {
    this.stage = stageOf(plan)
    this.between = exchangeTopics(plan, APP)
    this.topics = outputTopics(plan, APP)
    const parts = {
      ...chainParts(plan, new World(1, undefined, undefined), this, () => {}),
      partitions: () => PARTITIONS
    }
    this.parts = { ...parts, exchange: exchangeOver(parts) }
    this.sources = this.tasks(SOURCE)
    this.stages = this.tasks(this.stage)
  }

  private tasks(topic: string): readonly Task[] {
    return Array.from({ length: PARTITIONS }, (_, partition) => {
      const task = makeTask(this.parts, { topic, partition }, () => this.outputs)
      task.apply(this.changesOf(task).written())
      task.start({ offset: 0, committed: 0 })
      return task
    })
  }

  /** The source's partitions go on in another process, from what is committed. */
  restartSources(): void {
    this.sources = this.tasks(SOURCE)
  }

  /** The stage's do. */
  restartStages(): void {
    this.stages = this.tasks(this.stage)
  }

  private changesOf({ topic, partition }: Task): ByteWriter {
    const name = `${topic}/${partition}`
    const changes = this.changes.get(name) ?? new ByteWriter()
    this.changes.set(name, changes)
    return changes
  }

  /** Records of a source's partition. */
  run(partition: number, ...events: readonly ReturnType<typeof event>[]): void {
    const task = this.sources[partition]!
    const offset = this.offsets.get(task) ?? 0
    this.offsets.set(task, offset + events.length)
    task.process(batchOf(events, offset), 0, events.length)
  }

  /** The same, in a transaction of their own. */
  feed(partition: number, ...events: readonly ReturnType<typeof event>[]): void {
    this.run(partition, ...events)
    this.commit()
  }

  /** What lanes do after each poll: what is due is worked off. */
  look(): void {
    for (const task of [...this.sources, ...this.stages]) if (task.pending()) task.proceed(100)
    this.commit()
  }

  /** Ends transactions until nothing is on its way between the stages. */
  commit(): void {
    for (const task of this.sources) if (task.touched()) task.delta(this.changesOf(task))
    this.deliver()
    for (const task of this.stages) {
      // Results come one by one, in transactions of their own.
      do {
        if (task.pending()) task.proceed(1)
        if (task.touched()) task.delta(this.changesOf(task))
      } while (task.pending())
    }
    this.deliver()
  }

  /** What was produced arrives: at the next stage, or as a result. */
  private deliver(): void {
    const { data, index, count } = this.outputs
    const bytes = data.bytes.slice(0, data.length)
    for (let at = 0; at < count * OUTPUT_STRIDE; at += OUTPUT_STRIDE) {
      const [topic, partition, keyStart, keyLength, valueStart, valueLength] = index.subarray(at, at + 6)
      if (this.topics[topic!] === "totals")
        this.total(JSON.parse(text.decode(bytes.subarray(valueStart, valueStart! + valueLength!))))
      const log = this.topics[topic!]!
      if (log !== this.stage && this.between.includes(log)) this.beyond.push(bytes[valueStart!]!)
      if (log !== this.stage) continue
      if (keyLength === -1) this.signals++
      else this.crossed++
      const task = this.stages[partition!]!
      const record = Int32Array.of(0, partition!, keyStart!, keyLength!, valueStart!, valueLength!, 0, 0)
      expect(record.length).toBe(STRIDE)
      const offset = this.offsets.get(task) ?? 0
      this.offsets.set(task, offset + 1)
      task.process({ bytes, index: record, stamps: Float64Array.of(offset, 0), count: 1 }, 0, 1)
    }
    this.outputs.clear()
  }

  private total({ key = "all", windowStart, n }: { key?: string; windowStart: number; n: number }): void {
    this.totals.push(`${key}@${windowStart}: ${n}`)
  }

  get watermarks(): readonly number[] {
    return this.stages.map(task => task.watermark())
  }
}

test("one that is held back is idle where its log ends, and no more once it has records to come", () => {
  const all = new Stages()
  const [held, other] = [0, 1]
  all.feed(held, event(1, 5_000))
  all.feed(other, event(2, 500))
  all.look()
  all.look()
  all.parts.clock.now += IDLE_AFTER_MS + 1
  all.run(other, event(3, 600))
  all.look()
  // So it would not be waited for; but it has records, which nobody reads for now.
  all.sources[held]!.holdBack(true)
  all.look()
  all.parts.clock.now += INTERVAL_MS
  all.feed(other, event(4, 9_000))
  expect(all.watermarks).toEqual([4_999, 4_999])
  // It says so once, and silence begins anew where they are gone.
  const { signals } = all
  all.look()
  expect(all.signals).toBe(signals)
  all.sources[held]!.holdBack(false)
  all.look()
  all.parts.clock.now += IDLE_AFTER_MS + 1
  all.run(other, event(5, 9_100))
  all.look()
  expect(all.watermarks).toEqual([9_099, 9_099])
})

test("event time behind an exchange is the least of the partitions before it", () => {
  const all = new Stages()
  all.feed(0, event(1, 500), event(2, 5_000))
  expect(all.watermarks).toEqual([NO_WATERMARK, NO_WATERMARK])
  all.feed(1, event(3, 600), event(4, 2_000))
  expect(all.watermarks).toEqual([1_999, 1_999])
  expect(all.totals).toEqual(["g0@0: 2"])
})

test("a watermark goes out once a transaction, to all partitions, and only if it has advanced", () => {
  const all = new Stages()
  for (const [i, at] of [500, 600, 700].entries()) all.run(0, event(i, at))
  all.commit()
  expect(all.signals).toBe(PARTITIONS)
  all.feed(0, event(9, 100))
  expect(all.signals).toBe(PARTITIONS)
})

test("watermarks keep their distance, and the last one goes out without a further record", () => {
  const all = new Stages()
  all.feed(0, event(1, 500))
  all.feed(1, event(2, 500))
  expect(all.signals).toBe(2 * PARTITIONS)
  for (let at = 600; at < 700; at++) all.feed(0, event(at, at))
  expect(all.signals).toBe(2 * PARTITIONS)
  expect(all.sources.map(task => task.pending())).toEqual([false, false])
  all.parts.clock.now += INTERVAL_MS
  expect(all.sources.map(task => task.pending())).toEqual([true, false])
  all.look()
  expect(all.signals).toBe(3 * PARTITIONS)
  all.feed(1, event(1_000, 5_000))
  expect(all.watermarks).toEqual([698, 698])
  // A clock that was set back does not silence it.
  all.parts.clock.now = -1_000_000
  all.feed(0, event(1_001, 5_000))
  expect(all.signals).toBe(5 * PARTITIONS)
})

test("a partition that has no records for a while is not waited for, until it has one", () => {
  const all = new Stages()
  all.feed(0, event(1, 500), event(2, 5_000))
  all.look()
  all.parts.clock.now += IDLE_AFTER_MS
  all.look()
  expect(all.totals).toEqual([])
  all.parts.clock.now += 1
  all.look()
  // Both are quiet by now: as Flink has it, the greatest of them counts then.
  expect(all.watermarks).toEqual([4_999, 4_999])
  expect(all.totals).toEqual(["g0@0: 1"])
  // It comes back behind the others: it holds nothing up until it has caught up, and what it brings is late.
  all.feed(1, event(3, 900))
  all.feed(0, event(4, 7_000))
  expect(all.watermarks).toEqual([6_999, 6_999])
  all.parts.clock.now += INTERVAL_MS
  all.feed(1, event(5, 8_000))
  all.feed(0, event(6, 20_000))
  expect(all.watermarks).toEqual([7_999, 7_999])
})

test("the end of event time crosses", () => {
  const all = new Stages()
  all.feed(0, event(1, 500))
  expect(all.sources.map(task => task.end())).toEqual([true, true])
  expect(all.stages.map(task => task.end())).toEqual([false, false])
  all.commit()
  expect(all.watermarks).toEqual([END_OF_TIME, END_OF_TIME])
  expect(all.totals).toEqual(["g0@0: 1"])
})

test("a partition is at rest when all before it are, which it remembers, and by the same halt", () => {
  const all = new Stages()
  all.feed(0, event(1, 500), event(2, 5_000))
  all.feed(1, event(3, 2_000))
  const halt = (number: number) => [...all.sources, ...all.stages].map(task => task.halt(number))
  all.sources[0]!.halt(7)
  all.commit()
  expect(all.stages.map(task => task.halt(7) || task.halted(7))).toEqual([false, false])
  all.restartStages()
  all.sources[1]!.halt(7)
  all.commit()
  halt(7)
  expect(all.stages.map(task => task.halted(7))).toEqual([true, true])
  // Event time has not come to its end, and another halt is another one.
  expect(all.watermarks).toEqual([1_999, 1_999])
  all.stages[0]!.halt(8)
  expect(all.stages[0]!.halted(8)).toBe(false)
})

test("how far each partition before it has come is state of the stage", () => {
  const all = new Stages()
  all.feed(0, event(1, 500), event(2, 5_000))
  all.feed(1, event(3, 2_000))
  expect(all.watermarks).toEqual([1_999, 1_999])
  all.restartStages()
  expect(all.watermarks).toEqual([1_999, 1_999])
  // Partition 0 stood at 4,999 before: it need not say so again.
  all.parts.clock.now += INTERVAL_MS
  all.feed(1, event(4, 4_000))
  expect(all.watermarks).toEqual([3_999, 3_999])
})

test("a source that starts anew says where event time stands, without a record", () => {
  const all = new Stages()
  all.feed(0, event(1, 500))
  all.feed(1, event(2, 500))
  // It ends before it may say how far it has come by this.
  all.feed(0, event(3, 5_000))
  all.feed(1, event(4, 5_000))
  expect(all.watermarks).toEqual([499, 499])
  all.restartSources()
  all.look()
  expect(all.watermarks).toEqual([4_999, 4_999])
  expect(all.totals).toEqual(["g0@0: 2"])
  const { signals } = all
  all.parts.clock.now += INTERVAL_MS
  all.look()
  expect(all.signals).toBe(signals)
})

test("a stage whose partitions are all idle is idle itself, behind what became due by that, also when it starts anew", () => {
  const all = new Stages(again)
  all.feed(0, event(1, 500), event(2, 1_500), event(3, 5_000))
  // The first look sees the records, the second one silence.
  all.look()
  all.look()
  all.parts.clock.now += IDLE_AFTER_MS + 1
  all.look()
  // Each of its partitions says it to both of the next stage, one of them behind the windows that became due by it.
  const told = [WATERMARK, WATERMARK, IDLE, IDLE]
  expect(all.beyond).toEqual([...told, RECORD, RECORD, ...told])
  all.beyond = []
  all.restartStages()
  all.look()
  expect(all.beyond).toEqual([...told, ...told])
})

/** A lane that has a partition with the state that this record has left. */
const restarted = (plan: Plan, ...records: readonly ReturnType<typeof event>[]): Bench => {
  const bench = new Bench(plan)
  for (const topic of exchangeTopics(plan, APP)) bench.world.log.create(topic, PARTITIONS)
  bench.step({ type: "start" })
  bench.settle(["initialise"])
  bench.assign(0)
  const changes = new ByteWriter()
  if (records.length > 0) {
    const outputs = new Outputs()
    const parts = chainParts(plan, bench.world, {}, () => {})
    const task = makeTask(parts, { topic: SOURCE, partition: 0 }, () => outputs)
    task.start({ offset: 0, committed: 0 })
    task.process(batchOf(records, 0), 0, records.length)
    task.delta(changes)
  }
  bench.waiting("restore").task.apply(changes.written())
  bench.settle(["take", "restore", "seek"])
  return bench
}

/** Time goes on, and polls bring nothing. */
const wait = (bench: Bench): void => {
  for (let i = 0; i < 3; i++) {
    bench.now += 2 * INTERVAL_MS
    bench.wallClock += 2 * INTERVAL_MS
    bench.feed([])
  }
}

test("a lane tells the next stage of restored event time in a transaction of its own, once; it sends the offset, which has not moved", () => {
  const plan = planOf("crossing", (_, result) => Effect.succeed(result()))
  const bench = restarted(plan, event(1, 5_000))
  bench.feed([])
  wait(bench)
  const { outputs } = bench.waiting("produce")
  const envelope = new EnvelopeReader()
  const told = Array.from({ length: outputs.count }, (_, i) => {
    const [topic, partition, , , start, length] = outputs.index.subarray(i * OUTPUT_STRIDE, (i + 1) * OUTPUT_STRIDE)
    if (outputTopics(plan, APP)[topic!] !== stageOf(plan)) return undefined
    envelope.stand(outputs.data.bytes, start!, length!)
    return { partition, kind: envelope.kind, watermark: envelope.watermark }
  })
  expect(told.filter(one => one !== undefined)).toEqual([
    { partition: 0, kind: WATERMARK, watermark: 3_999 },
    { partition: 1, kind: WATERMARK, watermark: 3_999 }
  ])
  bench.settle(["produce", "flush"])
  expect(bench.waiting("sendOffsets").offsets).toMatchObject([{ topic: SOURCE, partition: 0, offset: 0 }])
  bench.settle(["sendOffsets", "commit"])
  wait(bench)
  expect(bench.metrics.get("commits")).toBe(1)
  expect(bench.under.map(({ type }) => type)).toEqual(["poll"])
})

test("a lane that starts anew with nothing to tell makes no transaction", () => {
  const plans = (["crossing", "plain"] as const).map(shape => planOf(shape, (_, result) => Effect.succeed(result())))
  const benches = [restarted(plans[0]!), restarted(plans[1]!, event(1, 8_500), event(2, 9_000))]
  for (const bench of benches) {
    wait(bench)
    expect(bench.asked.filter(type => type === "produce" || type === "commit")).toEqual([])
  }
})

test("a source whose key is not the field that it says stops the job, at the first record of a batch", () => {
  const all = new Stages()
  const batch = () => batchOf([event(1, 500), event(2, 600)], 0)
  const [wrong, keyless, right] = [batch(), batch(), batch()]
  wrong.bytes[0] = "b".charCodeAt(0)
  expect(() => all.sources[0]!.process(wrong, 0, 2)).toThrow('has the key "b1", but account is "a1"')
  keyless.index[KEY_LENGTH] = -1
  expect(() => all.sources[0]!.process(keyless, 0, 2)).toThrow("has no key, but account is")
  all.sources[0]!.process(right, 0, 2)
})

test("over all keys one record a pane crosses at the end of a transaction, before the watermark behind it", () => {
  const all = new Stages(folded)
  for (const [i, at] of [100, 200, 300, 1_500, 1_600].entries()) all.run(0, event(i, at))
  all.commit()
  expect(all.crossed).toBe(2)
  all.feed(1, event(5, 400), event(6, 1_700), event(7, 2_500))
  expect(all.crossed).toBe(5)
  expect(all.totals).toEqual(["all@0: 4"])
})

test("over all keys nothing stays behind in a partition that has gone quiet", () => {
  const all = new Stages(folded)
  all.feed(0, event(1, 500))
  all.feed(1, event(2, 600), event(3, 5_000))
  // The first look sees the records, the second one silence.
  all.look()
  all.look()
  all.parts.clock.now += IDLE_AFTER_MS + 1
  all.look()
  expect(all.totals).toEqual(["all@0: 2"])
})

test("over all keys a partition is idle behind what it had folded", () => {
  const all = new Stages(folded)
  all.feed(0, event(1, 500))
  all.run(0, event(2, 600))
  // Nothing is due while it goes quiet.
  for (let looks = 0; looks < 2; looks++) expect(all.sources.map(task => task.pending())).toEqual([false, false])
  all.parts.clock.now += IDLE_AFTER_MS + 1
  all.look()
  expect(all.crossed).toBe(2)
  // Two watermarks of the one, and that both are idle.
  expect(all.signals).toBe(4 * PARTITIONS)
})

test("in a topic of the job's own, what people write under a wrong key goes to the dead letters", () => {
  const source = Source.kafka(SOURCE, EventSchema, { key: "account", onDecodeError: DeadLetter.to("dead") })
  const made = { ...source, spec: { ...source.spec, made: {} } }
  const own = toPlan(Pipeline.make("sim").from(made).to(Sink.kafka("copies", EventSchema)))
  const outputs = new Outputs()
  const parts = chainParts(own, new World(1, undefined, undefined), {}, () => {})
  const task = makeTask(parts, { topic: SOURCE, partition: 0 }, () => outputs)
  task.start({ offset: 0, committed: 0 })
  const batch = batchOf([event(1, 500), event(2, 600), event(3, 700)], 0)
  batch.bytes[batch.index[STRIDE + 2]!] = "b".charCodeAt(0)
  task.process(batch, 0, 3)
  const topics = Array.from(
    { length: outputs.count },
    (_, i) => outputTopics(own, APP)[outputs.index[i * OUTPUT_STRIDE]!]
  )
  expect(topics).toEqual(["copies", "dead", "copies"])
})
