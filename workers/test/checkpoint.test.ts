import { expect, test } from "bun:test"
import { shareOf } from "../checkpoint.ts"

const INTERVAL_MS = 60_000

test("a round that is in time takes a sixteenth of a processor, a late one more and more", () => {
  const shares = [0, 14_999, 15_000, 30_000, 45_000, 60_000, 1e9].map(goneMs => shareOf(goneMs, INTERVAL_MS))
  expect(shares).toEqual([1 / 16, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 1])
})

test("whatever a round has to do, it ends: a fifth of an interval of work within one interval", () => {
  const STEP_MS = 10
  let [goneMs, workedMs] = [0, 0]
  while (workedMs < INTERVAL_MS / 5) {
    workedMs += STEP_MS * shareOf(goneMs, INTERVAL_MS)
    goneMs += STEP_MS
  }
  expect(goneMs).toBeLessThanOrEqual(INTERVAL_MS)
})
