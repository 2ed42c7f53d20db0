import { afterAll, beforeAll, expect, test } from "bun:test"
import { startKafka } from "@headrace/dev"
import { groupSettings, SOURCE_DEFAULTS } from "../src/defaults.ts"
import { Arena, Consumer } from "../src/index.ts"
import { createTopic, fresh } from "./support.ts"

/** Longer than the test may take. */
const FOR_EVER_MS = 600_000
const POLL_MS = 50
const BEATS = 20
/** Some beats come late on a busy machine, but not most; librdkafka by itself looks twice a second. */
const POLLS_A_BEAT = 6

let kafka: Awaited<ReturnType<typeof startKafka>>
beforeAll(async () => {
  kafka = await startKafka()
})
afterAll(() => kafka?.stop())

/** A member that was given the one partition of an empty topic. */
const join = async (settings: Readonly<Record<string, string>>, pollMs: number) => {
  const topic = await createTopic(kafka.bootstrap)
  const group = groupSettings({}, { group: fresh("group"), member: "lane", sessionTimeoutMs: 10_000 })
  const consumer = Consumer.open({ ...SOURCE_DEFAULTS, ...group, "bootstrap.servers": kafka.bootstrap, ...settings })
  await consumer.subscribe([topic])
  const arena = new Arena(1 << 16, 10)
  const events: Awaited<ReturnType<Consumer["poll"]>>["events"][number][] = []
  while (!events.some(({ type }) => type === "assign")) events.push(...(await consumer.poll(arena, 10, pollMs)).events)
  await consumer.take([{ topic, partition: 0 }])
  return { consumer, arena }
}

test("who waits for records for ever hears of what the group gives", async () => {
  const { consumer } = await join({}, FOR_EVER_MS)
  await consumer.close()
})

test("a member that has nothing to do is heard of at each heartbeat that is due", async () => {
  const { consumer, arena } = await join({ debug: "cgrp" }, POLL_MS)
  const polls: number[] = []
  for (let since = 1; polls.length < BEATS; since++) {
    const { events } = await consumer.poll(arena, 10, POLL_MS)
    if (!events.some(event => event.type === "log" && event.facility === "HEARTBEAT")) continue
    polls.push(since)
    since = 0
  }
  expect(polls.toSorted((a, b) => a - b)[BEATS / 2]).toBeLessThan(POLLS_A_BEAT)
  await consumer.close()
})
