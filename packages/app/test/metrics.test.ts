import { expect, test } from "bun:test"
import { Elsewhere, GroupClocks, LaneMetrics, LogError, PHASES } from "@headrace/engine"
import { Effect, Fiber } from "effect"
import { Checkpoints } from "../src/checkpoints.ts"
import { renderMetrics } from "../src/metrics.ts"
import { Status } from "../src/status.ts"
import { watch } from "../src/watch.ts"

const status = () => {
  const lanes = [0, 1].map(index => ({
    kind: "lane" as const,
    index,
    name: `lane ${index}`,
    metrics: new LaneMetrics()
  }))
  const table = { kind: "clickhouse" as const, index: 0, name: "table spend", nodeId: "n", metrics: new LaneMetrics() }
  return new Status("spend", [...lanes, table])
}

test("what the threads report is what a measurement reads, from its beginning on", async () => {
  const made = status()
  const [first, second, table] = made.units
  using server = Bun.serve({
    port: 0,
    fetch: async () => new Response(await Effect.runPromise(renderMetrics(made)))
  })
  first?.metrics.add("lag", 5)
  second?.metrics.add("lag", 7)
  table?.metrics.add("lag", 100)
  for (const unit of [first, second])
    unit?.metrics.states.write([
      { source: 0, partition: 0, node: 5, keys: 1, bytes: 3 << 20, spilledKeys: 1, spilledBytes: 1 << 20 }
    ])
  made.startupMs = 1234
  for (let i = 0; i < 100; i++) first?.metrics.commitTook(5000)
  const measured = Effect.gen(function* () {
    const watched = yield* watch(server.url.origin)
    const figures = yield* watched.begin
    for (const ms of [1, 1, 1, 100]) second?.metrics.commitTook(ms)
    table?.metrics.commitTook(9000)
    return [yield* figures, watched.snapshot()] as const
  })
  const [figures, snapshot] = await Effect.runPromise(Effect.scoped(measured))
  expect(figures).toMatchObject({ lanes: 2, startupMs: 1234, commitMs: { p50: 1 } })
  expect(figures.commitMs.p99).toBeWithin(100, 126)
  expect(figures.rssMb).toBeGreaterThan(1)
  const state = [{ operator: "5", memoryMb: 6, diskMb: 2 }]
  expect(snapshot).toMatchObject({ lag: 12, commitMs: figures.commitMs, state })
})

test("where no pipeline answers, nothing is measured", async () => {
  const begun = Effect.scoped(Effect.flatMap(watch("http://127.0.0.1:1"), watched => watched.begin))
  await expect(Effect.runPromise(begun)).rejects.toThrow("http://127.0.0.1:1/metrics: no pipeline answers there")
})

test("every line is in Prometheus' text format", async () => {
  const made = status()
  made.units[0]?.metrics.set("watermark", Number.NEGATIVE_INFINITY)
  const text = await Effect.runPromise(renderMetrics(made))
  for (const line of text.split("\n").filter(line => line !== "")) {
    expect(line).toMatch(
      /^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? ([-+]?Inf|NaN|-?\d[\d.e+-]*))$/
    )
  }
  expect(text).toContain('headrace_watermark_ms{kind="lane",unit="lane 0"} -Inf')
})

test("how far a restore is, how fast, and how long it still takes, while there is one", async () => {
  const made = status()
  const told = async (name: string) => {
    const text = await Effect.runPromise(renderMetrics(made))
    return new RegExp(`^headrace_restoring_${name}\\{kind="lane",unit="lane 0"\\} (\\S+)$`, "m").exec(text)?.[1]
  }
  const all = () => Promise.all(["ratio", "bytes_per_second", "remaining_seconds"].map(told))
  const is = (done: number, total: number, ms: number) => {
    made.units[0]?.metrics.set("restoringBytes", done)
    made.units[0]?.metrics.set("restoringTotalBytes", total)
    made.units[0]?.metrics.set("restoringMs", ms)
  }
  expect(await all()).toEqual(["NaN", "NaN", "NaN"])
  is(0, 4_000, 500)
  expect(await all()).toEqual(["0", "0", "NaN"])
  is(1_000, 4_000, 2_000)
  expect(await all()).toEqual(["0.25", "500", "6"])
})

test("how far partitions are apart is said over all lanes, whatever those say that have none", async () => {
  const made = status()
  const skew = async () => /^headrace_watermark_skew_ms (\S+)$/m.exec(await Effect.runPromise(renderMetrics(made)))?.[1]
  expect(await skew()).toBe("0")
  const [first, second] = made.units.map(({ metrics }) => metrics)
  const says = (metrics: LaneMetrics | undefined, behind: number, ahead: number) => {
    metrics?.set("partitions", 2)
    metrics?.set("watermarkBehind", behind)
    metrics?.set("watermarkAhead", ahead)
  }
  says(first, 5_000, 5_000)
  expect(await skew()).toBe("0")
  says(second, 6_000, 9_500)
  expect(await skew()).toBe("4500")
  says(second, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY)
  expect(await skew()).toBe("0")
})

test("a unit that stands still is shown with the reason, until it gets on", async () => {
  const made = status()
  for (const unit of made.units) unit.metrics.set("phase", PHASES.indexOf("running"))
  made.stall("lane 1", "stalled for 60 s: its thread hangs")
  expect(made.reasons()).toEqual(["lane 1: stalled for 60 s: its thread hangs"])
  const text = await Effect.runPromise(renderMetrics(made))
  expect(text).toContain('headrace_stalled{kind="lane",unit="lane 0"} 0')
  expect(text).toContain('headrace_stalled{kind="lane",unit="lane 1"} 1')
  made.stall("lane 1", undefined)
  expect(made.reasons()).toEqual([])
})

test("a job is ready when every unit runs and nothing is waited for", () => {
  const made = status()
  for (const unit of made.units) unit.metrics.set("phase", PHASES.indexOf("running"))
  expect(made.reasons()).toEqual([])
  made.waiting.set("Kafka", "connection refused")
  made.units[2]?.metrics.set("phase", PHASES.indexOf("failed"))
  expect(made.reasons()).toEqual(["Kafka: connection refused", "table spend is failed"])
})

test("that partitions of other processes cannot be looked at is in the metrics and among the warnings", async () => {
  const made = status()
  const text = () => Effect.runPromise(renderMetrics(made))
  expect(await text()).not.toContain("headrace_alignment_failed_looks_total")
  const partitions = [{ topic: "t", partition: 0, group: 0, maxDriftMs: 1, idleMs: 1 }]
  const clocks = GroupClocks.bufferOf(partitions, 1)
  const marks = () => Effect.fail(new LogError("Retry", "no coordinator"))
  const ends = () => Effect.succeed([])
  made.elsewhere = new Elsewhere({ partitions, clocks, marks, ends, held: () => made.holdsBack }, Date.now())
  expect(made.warnings()).toEqual([])
  const looks = Effect.runFork(made.elsewhere.run)
  expect(await text()).toContain("headrace_alignment_failed_looks_total 1")
  expect(made.warnings()).toEqual([expect.stringContaining("no coordinator")])
  await Effect.runPromise(Fiber.interrupt(looks))
})

test("how checkpoints fare is in the metrics, where this process writes some", async () => {
  const made = status()
  const text = () => Effect.runPromise(renderMetrics(made))
  expect(await text()).not.toContain("headrace_checkpoint")
  made.checkpoints = new Checkpoints(60_000, Date.now())
  expect(made.warnings()).toEqual([])
  made.checkpoints.succeeded(1500, Date.now() - 200_000)
  made.checkpoints.failedWith("no room")
  const found = await text()
  expect(found).toMatch(/^headrace_checkpoints_completed_total 1$/m)
  expect(found).toMatch(/^headrace_checkpoints_failed_total 1$/m)
  expect(found).toMatch(/^headrace_checkpoint_duration_seconds 1.5$/m)
  expect(found).toMatch(/^headrace_checkpoint_age_seconds 20\d/m)
  expect(made.warnings().join()).toMatch(
    /^checkpoints: no round was completed for 20\d s \(checkpoint.interval is 60 s\); the last round failed: no room$/
  )
  // It processes all the same.
  for (const unit of made.units) unit.metrics.set("phase", PHASES.indexOf("running"))
  expect(made.reasons()).toEqual([])
})
