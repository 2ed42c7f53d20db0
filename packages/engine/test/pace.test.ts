import { describe, expect, test } from "bun:test"
import { Pace } from "../src/lane/pace.ts"

const INTERVAL = 25
const FULL = 100

describe("the pace of commits", () => {
  test("is the configured interval while polls are not full", () => {
    const pace = new Pace(INTERVAL, FULL)
    for (let i = 0; i < 100; i++) pace.polled(FULL - 1)
    expect(pace.dueAt(1_000)).toBe(1_000 + INTERVAL)
  })

  test("slows down with each full poll, up to a bound, and is back with the first that is not full", () => {
    const pace = new Pace(INTERVAL, FULL)
    const due: number[] = []
    for (let i = 0; i < 40; i++) {
      pace.polled(FULL)
      due.push(pace.dueAt(0))
    }
    expect(due[0]).toBeGreaterThan(INTERVAL)
    expect(due.every((at, i) => i === 0 || at >= due[i - 1]!)).toBe(true)
    expect(due.at(-1)).toBe(250)
    pace.polled(0)
    expect(pace.dueAt(0)).toBe(INTERVAL)
  })

  test("never commits more often than configured", () => {
    const pace = new Pace(2_000, FULL)
    pace.polled(FULL)
    expect(pace.dueAt(0)).toBe(2_000)
  })
})
