import { describe, expect, test } from "bun:test"
import { TRANSACTION_TIMEOUT_MS } from "@headrace/engine"
import { changelogSettings } from "../src/changelog.ts"
import { readerSettings, sinkSettings } from "../src/committed-log.ts"
import { Consumer } from "../src/consumer.ts"
import { groupSettings, SOURCE_DEFAULTS } from "../src/defaults.ts"
import { askerSettings, memberSettings } from "../src/membership.ts"
import { producerSettings } from "../src/transactional.ts"

const MINUTE_MS = 60_000
const bootstrap = "127.0.0.1:1"
const member = { group: "g", member: "m", sessionTimeoutMs: 10_000 }
const source = { ...member, topics: ["t"] }
const sink = { ...member, topic: "t" }

test("a member may restore for longer than librdkafka's five minutes, and longer than any session", async () => {
  expect(Number(SOURCE_DEFAULTS["max.poll.interval.ms"])).toBeGreaterThanOrEqual(60 * MINUTE_MS)
  const group = groupSettings({}, { group: "g", member: "m", sessionTimeoutMs: 30 * MINUTE_MS })
  // librdkafka refuses a session that is longer than the time between two polls.
  await Consumer.open({ ...SOURCE_DEFAULTS, ...group, "bootstrap.servers": bootstrap }).close()
})

describe("what the cluster's settings cannot change", () => {
  const settings = {
    "auto.offset.reset": "earliest",
    "enable.auto.commit": "true",
    "enable.auto.offset.store": "true",
    "enable.partition.eof": "true",
    "enable.idempotence": "false",
    "isolation.level": "read_uncommitted",
    "group.instance.id": "another",
    "transactional.id": "another",
    "transaction.timeout.ms": "60000"
  }
  const cluster = { bootstrap, settings }

  test.each([
    ["a lane", memberSettings(cluster, source)],
    ["a sink", sinkSettings(cluster, sink)],
    ["a sink's recovery", readerSettings(cluster)],
    ["the changelog's reader", changelogSettings(cluster, "read_committed")]
  ])("%s begins where it is told, never by a reset policy, and commits nothing by itself", (_, found) => {
    expect(found).toMatchObject({
      "auto.offset.reset": "error",
      "enable.auto.commit": "false",
      "isolation.level": "read_committed"
    })
  })

  test.each([
    ["a lane", memberSettings(cluster, source)],
    ["a sink", sinkSettings(cluster, sink)]
  ])(
    "%s is a static member, and its client neither keeps positions nor moves them at an end of the log",
    (_, found) => {
      expect(found).toMatchObject({
        "group.instance.id": "m",
        "enable.auto.offset.store": "false",
        "enable.partition.eof": "false"
      })
    }
  )

  test.each(["read_committed", "read_uncommitted"] as const)(
    "who asks about a lane's group, %s, reads what the question is about, and commits nothing by itself",
    isolation => {
      expect(askerSettings(cluster, source, isolation)).toMatchObject({
        "group.id": "g",
        "isolation.level": isolation,
        "enable.auto.commit": "false"
      })
    }
  )

  test("a producer has its own id, is idempotent, and leaves nothing open for longer than restores reckon with", () => {
    expect(producerSettings(cluster, "id")).toMatchObject({
      "transactional.id": "id",
      "enable.idempotence": "true",
      "transaction.timeout.ms": String(TRANSACTION_TIMEOUT_MS)
    })
  })
})

test("with KIP-848 the broker puts partitions of one number together, and no assignor of the client is named", async () => {
  const group = memberSettings({ bootstrap, settings: { "group.protocol": "consumer" } }, source)
  expect(group["group.remote.assignor"]).toBe("range")
  // The client refuses it beside this protocol, as it does the session time-out and the heartbeat.
  expect(group["partition.assignment.strategy"]).toBeUndefined()
  await Consumer.open(group).close()
})

test("a transaction that hangs is aborted after 10 s, and a delivery that hangs fails before", () => {
  const found = producerSettings({ bootstrap, settings: {} }, "id")
  expect(found["transaction.timeout.ms"]).toBe("10000")
  expect(TRANSACTION_TIMEOUT_MS).toBe(10_000)
  expect(Number(found["message.timeout.ms"])).toBeLessThan(TRANSACTION_TIMEOUT_MS)
})
