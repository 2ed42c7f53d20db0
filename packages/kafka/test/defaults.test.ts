import { expect, test } from "bun:test"
import { Consumer } from "../src/consumer.ts"
import { groupSettings, SOURCE_DEFAULTS } from "../src/defaults.ts"

const MINUTE_MS = 60_000

test("a member may restore for longer than librdkafka's five minutes, and longer than any session", async () => {
  expect(Number(SOURCE_DEFAULTS["max.poll.interval.ms"])).toBeGreaterThanOrEqual(60 * MINUTE_MS)
  const group = groupSettings({}, { group: "g", member: "m", sessionTimeoutMs: 30 * MINUTE_MS })
  // librdkafka refuses a session that is longer than the time between two polls.
  await Consumer.open({ ...SOURCE_DEFAULTS, ...group, "bootstrap.servers": "127.0.0.1:1" }).close()
})
