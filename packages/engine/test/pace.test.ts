import { describe, expect, test } from "bun:test"
import { Pace, type PaceOptions } from "../src/lane/pace.ts"

const INTERVAL = 25
const FULL = 100

const paceOf = (options: Partial<PaceOptions> = {}) =>
  new Pace({ intervalMs: INTERVAL, markersPerSecond: 1_000, sinkPartitions: 1, ...options })

describe("the pace of commits", () => {
  test("is the configured interval while polls are not full", () => {
    const pace = paceOf()
    for (let i = 0; i < 100; i++) pace.polled(FULL - 1, FULL, 1)
    expect(pace.dueAt(1_000)).toBe(1_000 + INTERVAL)
  })

  test("slows down with each full poll, up to a bound, and is back with the first that is not full", () => {
    const pace = paceOf()
    const due: number[] = []
    for (let i = 0; i < 40; i++) {
      pace.polled(FULL, FULL, 1)
      due.push(pace.dueAt(0))
    }
    expect(due[0]).toBeGreaterThan(INTERVAL)
    expect(due.every((at, i) => i === 0 || at >= due[i - 1]!)).toBe(true)
    expect(due.at(-1)).toBe(250)
    pace.polled(0, FULL, 1)
    expect(pace.dueAt(0)).toBe(INTERVAL)
  })

  test("never commits more often than configured", () => {
    const pace = paceOf({ intervalMs: 2_000 })
    pace.polled(FULL, FULL, 1)
    expect(pace.dueAt(0)).toBe(2_000)
  })

  test("leaves the brokers no more markers a second than are allowed, whatever the lane has", () => {
    const pace = paceOf({ sinkPartitions: 61 })
    for (const [partitions, ms] of [
      [4, 65],
      [64, 125],
      [1, 62]
    ] as const) {
      pace.polled(0, FULL, partitions)
      expect(pace.dueAt(0)).toBe(ms)
    }
    pace.polled(0, FULL, 0)
    expect(paceOf({ sinkPartitions: 3 }).dueAt(0)).toBe(INTERVAL)
  })

  test("grows beyond the pace of catching up where there are very many partitions", () => {
    const pace = paceOf({ sinkPartitions: 600 })
    pace.polled(FULL, FULL, 0)
    expect(pace.dueAt(0)).toBe(600)
  })
})
