import { describe, expect, test } from "bun:test"
import { LaneMetrics, type MetricName, NO_RECORD, PHASES, type Phase } from "@headrace/engine"
import { begun, type Sample, type Stall, sampleOf, seen, stallOf } from "../src/stall.ts"

type Change = Partial<Record<MetricName, number>> & { readonly phase?: never; readonly in?: Phase }

const AFTER_MS = 60_000
const calm = { beats: 4, recordsIn: 100, commits: 40 } as const

/** One sample a second: the first one is set, and each of the others adds (counters) or sets (gauges) what is given. */
const record = (
  first: Change,
  seconds: number,
  each: (second: number) => Change,
  kind: Sample["kind"] = "lane"
): readonly Sample[] => {
  const metrics = new LaneMetrics()
  metrics.at(NO_RECORD)
  const apply = ({ in: phase, ...values }: Change) => {
    if (phase !== undefined) metrics.set("phase", PHASES.indexOf(phase))
    for (const [name, value] of Object.entries(values) as [MetricName, number][])
      if (COUNTERS.has(name)) metrics.add(name, value)
      else metrics.set(name, value)
  }
  apply(first)
  const samples = [sampleOf({ kind, metrics }, 0)]
  for (let second = 1; second <= seconds; second++) {
    apply(each(second))
    samples.push(sampleOf({ kind, metrics }, second * 1000))
  }
  return samples
}
const COUNTERS = new Set<string>(["beats", "commits", "aborts", "restores", "restored", "recordsIn"])

/** The first stall, and at which second. */
const verdict = (samples: readonly Sample[]): (Stall & { readonly second: number }) | undefined => {
  let watched = begun(samples[0]!)
  for (const [second, sample] of samples.entries()) {
    watched = seen(watched, sample)
    const stall = stallOf(watched, AFTER_MS, ["orders", "customers"])
    if (stall !== undefined) return { ...stall, second }
  }
  return undefined
}

describe("gets on", () => {
  test.each<[string, Change, (second: number) => Change]>([
    ["a lane that is far behind and commits", { in: "running", lag: 1e6 }, () => calm],
    ["an idle topic", { in: "running" }, () => ({ beats: 4 })],
    ["a topic with an open transaction of somebody", { in: "running", lag: 5, blocked: 5 }, () => ({ beats: 4 })],
    ["a lane that is given nothing", { in: "spare" }, () => ({ beats: 4 })],
    ["a lane that joins for long", { in: "joining" }, () => ({ beats: 4 })],
    ["a table that waits for its server", { in: "waiting", bufferedBytes: 9 }, () => ({ beats: 4 })],
    ["a long restore", { in: "restoring", lag: 9 }, () => ({ beats: 4, restored: 1000 })],
    ["one that is read without a turn of the loop", { in: "restoring" }, () => ({ restored: 1000 })],
    ["a large state that is rebuilt after one failure", { in: "restoring", aborts: 1 }, () => ({ restored: 7 })],
    ["a batch of records of a second each", { in: "running", lag: 9 }, second => ({ offset: second, commits: 1 })]
  ])("%s", (_, first, each) => {
    expect(verdict(record(first, 200, each))).toBeUndefined()
  })

  test("a lane that commits once within the time, again and again", () => {
    const slow = record({ in: "running", lag: 9 }, 300, second => ({ beats: 4, commits: second % 50 === 0 ? 1 : 0 }))
    expect(verdict(slow)).toBeUndefined()
  })

  test("a topic that was idle for long, from its first record on", () => {
    const woken = record({ in: "running" }, 250, second => ({ beats: 4, lag: second > 195 ? 5 : 0 }))
    expect(verdict(woken)).toBeUndefined()
  })
})

describe("is healthy for as long as it is at its work and gets on", () => {
  const healthyMs = (samples: readonly Sample[]): number => samples.reduce(seen, begun(samples[0]!)).healthyMs

  test.each<[string, number, Change, (second: number) => Change]>([
    ["one that commits", 100, { in: "running", lag: 9 }, () => calm],
    ["one with nothing to do", 100, { in: "running" }, () => ({ beats: 4 })],
    ["one that the group gives nothing", 100, { in: "spare" }, () => ({ beats: 4 })],
    ["a restore, as far as it is over", 10, {}, second => ({ beats: 4, in: second <= 90 ? "restoring" : "running" })],
    [
      "one that has nothing before it restores",
      11,
      { in: "spare" },
      second => ({ beats: 4, in: second <= 1 ? "spare" : second <= 90 ? "restoring" : "running" })
    ],
    ["one whose others commit while it restores", 0, { in: "restoring" }, () => calm],
    ["a thread that hangs at the first record of an idle topic", 0, { in: "running" }, () => ({})],
    ["what failed before, until it is started again", 0, { in: "failed" }, () => ({})],
    [
      "a record that is waited for, up to it",
      10,
      { in: "running", lag: 9 },
      second => (second <= 10 ? calm : { beats: 4, inFlight: 1 })
    ],
    ["one whose transactions fail", 0, { in: "running", lag: 9 }, () => ({ beats: 4, recordsIn: 9, aborts: 1 })]
  ])("%s: %d s", (_, seconds, first, each) => {
    expect(healthyMs(record(first, 100, each))).toBe(seconds * 1000)
  })
})

describe("stands still", () => {
  test.each<[string, Change, (second: number) => Change, RegExp]>([
    [
      "an endless loop at a record",
      { in: "running", lag: 9, source: 1, partition: 3, offset: 42 },
      () => ({}),
      /hangs in the pipeline's functions at customers\/3 offset 42$/
    ],
    ["a call that does not come back", { in: "running" }, () => ({}), /hangs in a call that does not come back/],
    [
      "asynchronous steps",
      { in: "running", lag: 5, inFlight: 7 },
      () => ({ beats: 4 }),
      /7 records wait in asynchronous steps that do not finish; lag 5$/
    ],
    [
      "a table whose server takes nothing",
      { in: "running", bufferedBytes: 512 },
      () => ({ beats: 4, recordsIn: 1 }),
      /512 bytes of output are not taken/
    ],
    [
      "nothing comes",
      { in: "running", lag: 10 },
      second => ({ beats: 4, lag: 10 + second }),
      /reads nothing, though there is something to read; lag 70, 60 more than before/
    ],
    [
      "nothing is committed",
      { in: "running", lag: 10 },
      () => ({ beats: 4, recordsIn: 100 }),
      /reads records, but nothing is committed/
    ],
    ["a restore that gets nothing", { in: "restoring" }, () => ({ beats: 4 }), /restores state and gets nothing more/],
    ["a rebalance", { in: "stopping" }, () => ({ beats: 4 }), /has to give partitions back/],
    ["a start", { in: "starting" }, () => ({ beats: 4 }), /does not get started/],
    [
      "failures in a circle",
      { in: "running", lag: 10 },
      second => ({ beats: 4, in: second % 2 === 0 ? "running" : "restoring", restored: 9, restores: 1, aborts: 1 }),
      /all of its last \d+ transactions failed/
    ]
  ])("%s", (_, first, each, reason) => {
    const stall = verdict(record(first, 120, each))
    expect(stall?.reason).toMatch(reason)
    expect(stall?.second).toBeWithin(60, 64)
    const excused = !/hangs|asynchronous steps/.test(stall?.reason ?? "")
    expect(stall?.waitsFor.includes("kafka")).toBe(excused)
    expect(stall?.waitsFor).not.toContain("clickhouse")
  })

  test.each<[Phase, RegExp]>([
    ["joining", /its group does not let it in/],
    ["waiting", /a server does not do what it is asked/]
  ])("one that is %s for several times as long", (phase, reason) => {
    const stall = verdict(record({ in: phase, bufferedBytes: 9 }, 400, () => ({ beats: 4 }), "clickhouse"))
    expect(stall?.reason).toMatch(reason)
    expect(stall?.second).toBe(300)
    expect(stall?.waitsFor).toContain("clickhouse")
  })

  test("what a server kept waiting for long has the usual time once it has answered", () => {
    const change = (second: number): Change => ({
      beats: 4,
      in: second < 250 ? "waiting" : "running",
      bufferedBytes: 9
    })
    expect(verdict(record({ in: "waiting" }, 400, change, "clickhouse"))?.second).toBe(310)
  })

  test("a restore says how far it has come", () => {
    const still = record({ in: "restoring", restoringBytes: 5, restoringTotalBytes: 9 }, 120, () => ({ beats: 4 }))
    expect(verdict(still)?.reason).toContain("it restores state (5 of 9 bytes) and gets nothing more")
  })
})
