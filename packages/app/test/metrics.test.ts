import { expect, test } from "bun:test"
import { LaneMetrics, PHASES } from "@headrace/engine"
import { Effect } from "effect"
import { renderMetrics } from "../src/metrics.ts"
import { Status } from "../src/status.ts"
import { sampleOf } from "../src/watch.ts"

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

test("what the threads report is what a scrape reads", async () => {
  const made = status()
  const [first, second, table] = made.units
  first?.metrics.add("lag", 5)
  second?.metrics.add("lag", 7)
  table?.metrics.add("lag", 100)
  for (const ms of [1, 1, 1, 100]) first?.metrics.commitTook(ms)
  table?.metrics.commitTook(9000)
  const sample = sampleOf(await Effect.runPromise(renderMetrics(made)))
  expect(sample).toMatchObject({ lanes: 2, lag: 12, commits: 4, p50: 1 })
  expect(sample.p99).toBeGreaterThanOrEqual(100)
  expect(sample.p99).toBeLessThan(200)
  expect(sample.rssMb).toBeGreaterThan(1)
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

test("a job is ready when every unit runs and nothing is waited for", () => {
  const made = status()
  for (const unit of made.units) unit.metrics.set("phase", PHASES.indexOf("running"))
  expect(made.reasons()).toEqual([])
  made.waiting.set("Kafka", "connection refused")
  made.units[2]?.metrics.set("phase", PHASES.indexOf("failed"))
  expect(made.reasons()).toEqual(["Kafka: connection refused", "table spend is failed"])
})
