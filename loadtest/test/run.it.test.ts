import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Consumer } from "@headrace/kafka"
import { Effect, Fiber } from "effect"
import {
  auditIndependently,
  defaults,
  ensureTopics,
  type LoadOptions,
  type LoadSnapshot,
  runLoad,
  TOPICS
} from "../src/index.ts"
import { endsOf } from "../src/measure/reading.ts"
import { type Faults, startNaive } from "./naive.ts"

let kafka: Kafka
let registry: Registry

beforeAll(async () => {
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
})
afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
})

const optionsOf = (changes: Partial<LoadOptions> = {}): LoadOptions => ({
  ...defaults,
  kafka: { bootstrap: kafka.bootstrap, settings: {} },
  registry: { url: registry.url },
  rate: 10_000,
  forMs: 10_000,
  accounts: 2_000,
  lateFraction: 0.01,
  partitions: 4,
  // Of what is lost nothing comes however long it is waited for; all else comes sooner, also on a busy machine.
  patienceMs: 15_000,
  ...changes
})

const places = () => ({ bootstrap: kafka.bootstrap, registry: registry.url })

const measure = async (options: LoadOptions, faults: Faults = {}) => {
  await Effect.runPromise(ensureTopics(options))
  const pipeline = await startNaive(options.kafka, options.registry, options.partitions, faults)
  try {
    return await Effect.runPromise(runLoad(options))
  } finally {
    await pipeline.stop()
  }
}

describe("a load through a pipeline on a real broker", () => {
  test("finds all of 100,000 events, windows and late events where nothing is wrong", async () => {
    const snapshots: LoadSnapshot[] = []
    const report = await measure(optionsOf({ threads: 2, onSnapshot: snapshot => snapshots.push(snapshot) }))
    expect(report.problems).toEqual([])
    expect(report).toMatchObject({ sent: 100_000, processed: 100_000, lost: 0, duplicated: 0, disordered: 0 })
    expect(report.windows.exact).toBe(true)
    expect(report.windows.windows).toBeGreaterThan(2_000)
    expect(report.late.planted).toBeGreaterThan(100)
    expect(report.late.seen).toBe(report.late.planted)
    expect(report.patterns).toMatchObject({ missed: 0, false: 0 })
    expect(report.patterns.found).toBeGreaterThan(20)
    expect(report.latencyMs.p50).toBeGreaterThan(0)
    expect(snapshots.at(-1)!.received).toBeGreaterThan(90_000)
    const found = await auditIndependently({ ...places(), topic: TOPICS.scored, sent: [50_000, 50_000] })
    expect(found).toMatchObject({ records: 100_000, distinct: 100_000, duplicated: 0, missing: 0, disordered: 0 })
    const windows = await auditIndependently({ ...places(), topic: TOPICS.spend })
    expect(windows).toMatchObject({ records: report.windows.windows, duplicated: 0, unreadable: 0 })
  })

  test("a second run straight after it is not disturbed by what the first one left", async () => {
    const report = await measure(optionsOf({ forMs: 1_000 }))
    expect(report.problems).toEqual([])
    expect(report.sent).toBe(10_000)
  })

  test("finds a lost and a doubled event, and a payment that is in no window", async () => {
    let forgotten = false
    const forgetOne = (n: number) => {
      if (n < 3_000 || forgotten) return false
      forgotten = true
      return true
    }
    const faults = { drop: (n: number) => n === 5_000, double: (n: number) => n === 6_000, forget: forgetOne }
    const report = await measure(optionsOf({ forMs: 1_000 }), faults)
    expect(report).toMatchObject({ lost: 1, duplicated: 1, processed: 9_999 })
    expect(report.windows.exact).toBe(false)
    const run = report.run
    const found = await auditIndependently({ ...places(), topic: TOPICS.scored, sent: [10_000], run })
    expect(found).toMatchObject({ records: 10_000, distinct: 9_999, duplicated: 1, missing: 1 })
    expect(report.problems).toHaveLength(3)
  })

  test("finds an alert that is missing and one that is false", async () => {
    const faults = { overlook: (n: number) => n === 2, invent: (n: number) => n === 4 }
    const report = await measure(optionsOf({ rate: 2_000, forMs: 6_000 }), faults)
    expect(report.patterns).toMatchObject({ missed: 1, false: 1 })
    expect(report.patterns.found).toBeGreaterThan(3)
    expect(report.problems).toHaveLength(2)
  })

  test("ends early when told to, and audits what was sent", async () => {
    const stop = new AbortController()
    const options = optionsOf({
      forMs: 60_000,
      stop: stop.signal,
      onSnapshot: ({ sent }) => {
        if (sent > 5_000) stop.abort()
      }
    })
    const report = await measure(options)
    expect(report.problems).toEqual([])
    expect(report.sent).toBeGreaterThan(5_000)
    expect(report.sent).toBeLessThan(300_000)
  })

  test("can be interrupted in the middle, and ends its threads", async () => {
    let sent = 0
    const options = optionsOf({ forMs: 60_000, onSnapshot: snapshot => (sent = snapshot.sent) })
    await Effect.runPromise(ensureTopics(options))
    const fiber = Effect.runFork(runLoad(options))
    while (sent === 0) await new Promise(resolve => setTimeout(resolve, 50))
    await Effect.runPromise(Fiber.interrupt(fiber))
    const atInterrupt = sent
    const admin = Consumer.open({ "bootstrap.servers": kafka.bootstrap, "group.id": "looker" })
    const ends = () => endsOf(admin, [TOPICS.events], options.partitions)
    expect(atInterrupt).toBeGreaterThan(0)
    // Fifty round trips: a generator that lived on would have sent hundreds of events meanwhile.
    const first = await ends()
    for (let i = 0; i < 50; i++) expect(await ends()).toEqual(first)
    await admin.close()
  })

  test("says what is wrong when the topics are missing", async () => {
    const other = await startKafka()
    try {
      const run = Effect.flip(runLoad(optionsOf({ kafka: { bootstrap: other.bootstrap, settings: {} } })))
      expect((await Effect.runPromise(run)).message).toContain("there is no topic payments")
    } finally {
      await other.stop()
    }
  })
})
