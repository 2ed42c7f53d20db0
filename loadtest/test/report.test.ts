import { describe, expect, test } from "bun:test"
import { type LoadReport, problemsOf, summarise } from "../src/report.ts"
import type { LoadSnapshot } from "../src/snapshot.ts"
import { renderSummary } from "../src/table.ts"
import { colouredFor, visibleLength } from "../src/text.ts"
import { renderLine, renderView, terminalView } from "../src/view.ts"

const latencyMs = { p50: 61.04, p90: 90, p99: 143.26, p999: 200, max: 260 }
const alerts = { found: 40, missed: 0, false: 0 }
const none = { found: 0, missed: 0, false: 0 }
const good: LoadReport = {
  run: 3,
  rate: 60_000,
  forMs: 10_000,
  seed: 1,
  threads: 1,
  sent: 600_000,
  unacknowledged: 0,
  processed: 600_000,
  lost: 0,
  duplicated: 0,
  disordered: 0,
  throughputEps: 59_870.4,
  latencyMs,
  warmupMs: 0,
  late: { planted: 12, seen: 12 },
  windows: { windows: 5_000, duplicated: 0, payments: 510_000, expectedPayments: 510_000, exact: true },
  patterns: { ...alerts, planted: 70, byRule: { trial: alerts, guess: none, travel: none, silence: none } },
  clickhouse: {
    rows: 600_000,
    lost: 0,
    duplicated: 0,
    latencyMs: { p50: 400, p90: 600, p99: 900, p999: 1_000, max: 1_100 },
    spend: { rows: 5_000, payments: 509_988, exact: true },
    patterns: alerts
  },
  behindMs: 4,
  queueFull: 0,
  drainMs: 300,
  problems: []
}
const engine = { commitMs: { p50: 17.1, p99: 48 }, rssMb: 401.6, startupMs: 900.2, lanes: 2 }
const judged = (changes: Partial<LoadReport>): LoadReport => {
  const report = { ...good, ...changes }
  return { ...report, problems: problemsOf(report) }
}

describe("the summary", () => {
  test("has the fields of the issue, and survives JSON", () => {
    const { details, ...summary } = JSON.parse(JSON.stringify(summarise(judged({}), engine)))
    expect(details).toMatchObject({ rate: 60_000, late: { planted: 12, seen: 12 }, drain_ms: 300, problems: [] })
    expect(summary).toEqual({
      sent: 600_000,
      processed: 600_000,
      lost: 0,
      duplicated: 0,
      throughput_eps: 59_870,
      latency_ms: { p50: 61, p90: 90, p99: 143.3, p999: 200, max: 260 },
      commit_ms: { p50: 17.1, p99: 48 },
      rss_mb: 402,
      startup_ms: 900,
      lanes: 2,
      exactly_once: true,
      clickhouse: { rows: 600_000, lost: 0, duplicated: 0 },
      patterns: { found: 40, missed: 0, false: 0 }
    })
  })

  test("has no ClickHouse where there was none", () => {
    expect("clickhouse" in summarise(judged({ clickhouse: undefined }), engine)).toBe(false)
  })

  const wrong: readonly [string, Partial<LoadReport>][] = [
    ["missing", { lost: 3 }],
    ["more than once", { duplicated: 1 }],
    ["order", { disordered: 1 }],
    ["acknowledged", { unacknowledged: 5 }],
    ["nothing was sent", { sent: 0 }],
    ["late", { late: { planted: 12, seen: 11 } }],
    ["payments", { windows: { ...good.windows, payments: 1 } }],
    ["not its own", { windows: { ...good.windows, exact: false } }],
    ["emitted more than once", { windows: { ...good.windows, duplicated: 1 } }],
    ["ClickHouse", { clickhouse: { ...good.clickhouse!, lost: 1 } }],
    ["ClickHouse", { clickhouse: { ...good.clickhouse!, duplicated: 1 } }],
    ["alerts are missing in Kafka", { patterns: { ...good.patterns, missed: 1 } }],
    ["false", { patterns: { ...good.patterns, false: 1 } }],
    ["alerts are missing in ClickHouse", { clickhouse: { ...good.clickhouse!, patterns: { ...alerts, missed: 1 } } }],
    ["alerts in ClickHouse are false", { clickhouse: { ...good.clickhouse!, patterns: { ...alerts, false: 1 } } }],
    ["windows in ClickHouse", { clickhouse: { ...good.clickhouse!, spend: { rows: 1, payments: 1, exact: false } } }]
  ]
  test.each(wrong)("is not exactly once, because: %s", (words, changes) => {
    const summary = summarise(judged(changes), engine)
    expect(summary.exactly_once).toBe(false)
    expect(summary.details.problems.join()).toContain(words)
    expect(renderSummary(summary)).toContain("✗")
  })

  test("has colours for a terminal only, and only where they are wanted", () => {
    const table = renderSummary(summarise(judged({}), engine))
    const before = process.env.NO_COLOR
    delete process.env.NO_COLOR
    expect(colouredFor({ isTTY: true }, table)).toContain("\x1b")
    expect(colouredFor({}, table)).not.toContain("\x1b")
    process.env.NO_COLOR = "1"
    expect(colouredFor({ isTTY: true }, table)).not.toContain("\x1b")
    if (before === undefined) delete process.env.NO_COLOR
  })

  test("as a table shows only ticks when all is well", () => {
    const table = renderSummary(summarise(judged({}), engine))
    expect(table).toContain("600,000")
    expect(table).toContain("exactly once")
    expect(table).not.toContain("✗")
  })
})

const snapshot: LoadSnapshot = {
  phase: "running",
  elapsedMs: 30_000,
  forMs: 60_000,
  sent: 1_800_000,
  received: 1_795_000,
  duplicated: 0,
  sentEps: 60_000,
  receivedEps: 59_900,
  windows: 12_000,
  late: 40,
  alerts: 51,
  behindMs: 2,
  recent: { p50: 60, p99: 140 },
  whole: { p50: 62, p99: 150 },
  clickhouse: { rows: 1_700_000, p50: 400, p99: 900 },
  engine: { lag: 5_000, commitsPerSecond: 38, commitMs: { p50: 18, p99: 50 }, rssMb: 400 }
}

describe("the view", () => {
  test("shows rates, lag, latency, commits and memory", () => {
    const text = renderView(snapshot, 100).join("\n")
    for (const part of [
      "60,000/s",
      "59,900/s",
      "5,000",
      "140 ms",
      "38/s",
      "400 MB",
      "1,700,000",
      "51",
      "30 s of 60 s"
    ]) {
      expect(text).toContain(part)
    }
  })

  test("shows the state of operators, and what of it is on disk", () => {
    const state = [{ operator: "spend", memoryMb: 12, diskMb: 345 }]
    const text = renderView({ ...snapshot, engine: { ...snapshot.engine!, state } }, 100).join("\n")
    for (const part of ["12 MB", "345 MB on disk", "spend"]) expect(text).toContain(part)
  })

  test("shows a restore while there is one", () => {
    const restoring = { doneBytes: 30e6, totalBytes: 120e6, ms: 3_000 }
    const during = { ...snapshot, engine: { ...snapshot.engine!, restoring } }
    for (const text of [renderView(during, 100).join("\n"), renderLine(during)])
      for (const part of ["restoring", "25 % of 120 MB", "10 MB/s", "9 s left"]) expect(text).toContain(part)
    expect(renderView(snapshot, 100).join("\n")).not.toContain("restoring")
  })

  test.each([40, 80, 120])("is never wider than the terminal: %p columns", width => {
    for (const line of renderView(snapshot, width)) expect(visibleLength(line)).toBeLessThanOrEqual(width)
  })

  test("fills half of the bar at half of the time", () => {
    const bar = renderView(snapshot, 80)[1]!
    expect(bar.split("━").length).toBe(bar.split("─").length)
  })

  test("redraws over its last picture on a terminal", () => {
    const written: string[] = []
    const view = terminalView({ isTTY: true, columns: 80, write: text => written.push(text) })
    view.show(snapshot)
    view.show(snapshot)
    const lines = renderView(snapshot, 80).length
    expect(written[0]).not.toContain(`\x1b[${lines}A`)
    expect(written[1]).toStartWith(`\x1b[${lines}A`)
  })

  test("elsewhere writes a line every five seconds and at each phase", () => {
    const written: string[] = []
    const view = terminalView({ write: text => written.push(text) })
    for (const elapsedMs of [0, 250, 4_900, 5_100, 5_300]) view.show({ ...snapshot, elapsedMs })
    view.show({ ...snapshot, elapsedMs: 5_400, phase: "draining" })
    expect(written).toHaveLength(3)
    expect(written[0]).toBe(`${renderLine({ ...snapshot, elapsedMs: 0 })}\n`)
    expect(written.join("")).not.toContain("\x1b")
  })
})
