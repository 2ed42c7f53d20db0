import { afterAll, beforeAll, expect, test } from "bun:test"
import { startKafka } from "@headrace/dev"
import { Effect } from "effect"
import { groupSettings, SOURCE_DEFAULTS } from "../src/defaults.ts"
import { Arena, Consumer, type ConsumerEvent, type TopicPartition } from "../src/index.ts"
import { claimUnowned } from "../src/unowned.ts"
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

/** A static member of a group, by hand. */
class Member {
  readonly consumer: Consumer
  private readonly arena = new Arena(1 << 16, 10)

  constructor(name: string, group: string, settings: Readonly<Record<string, string>> = {}) {
    this.consumer = Consumer.open({
      ...SOURCE_DEFAULTS,
      ...groupSettings({}, { group, member: name, sessionTimeoutMs: 10_000 }),
      "bootstrap.servers": kafka.bootstrap,
      ...settings
    })
  }

  async poll(pollMs: number): Promise<readonly ConsumerEvent[]> {
    return (await this.consumer.poll(this.arena, 10, pollMs)).events
  }

  /** The first change of this kind with as many partitions at least. One that is given nothing says that it heard so. */
  async hears(change: "assign" | "revoke", pollMs: number, least = 1): Promise<readonly TopicPartition[]> {
    while (true)
      for (const event of await this.poll(pollMs)) {
        if (event.type === change && event.partitions.length >= least) return event.partitions
        if (event.type === "assign") await this.consumer.take(event.partitions)
      }
  }

  /** Until it is given some, which it takes. */
  async join(topic: string, pollMs: number): Promise<readonly TopicPartition[]> {
    await this.consumer.subscribe([topic])
    const given = await this.hears("assign", pollMs)
    await this.consumer.take(given)
    return given
  }
}

test("who waits for records for ever hears of what the group gives, and of what it wants back", async () => {
  const [topic, group] = [await createTopic(kafka.bootstrap, 2), fresh("group")]
  const [one, other] = [new Member("one", group), new Member("other", group)]
  const given = await one.join(topic, FOR_EVER_MS)
  expect(given).toHaveLength(2)
  const joins = other.join(topic, FOR_EVER_MS)
  const wanted = await one.hears("revoke", FOR_EVER_MS)
  expect(wanted).toHaveLength(1)
  await one.consumer.unassign(wanted)
  // It waits on, and the other one is given it.
  await one.consumer.take(await one.hears("assign", FOR_EVER_MS, 0))
  expect(await joins).toEqual(wanted)
  await Promise.all([one.consumer.close(), other.consumer.close()])
})

test("a member that has nothing to do is heard of at each heartbeat that is due", async () => {
  const member = new Member("lane", fresh("group"), { debug: "cgrp" })
  await member.join(await createTopic(kafka.bootstrap), POLL_MS)
  const polls: number[] = []
  for (let since = 1; polls.length < BEATS; since++) {
    const events = await member.poll(POLL_MS)
    if (!events.some(event => event.type === "log" && event.facility === "HEARTBEAT")) continue
    polls.push(since)
    since = 0
  }
  expect(polls.toSorted((a, b) => a - b)[BEATS / 2]).toBeLessThan(POLLS_A_BEAT)
  await member.consumer.close()
})

test("what a static member was to give back, and did not before it was started again, does not stay nobody's", async () => {
  const [topic, group] = [await createTopic(kafka.bootstrap, 2), fresh("group")]
  const [killed, other] = [new Member("one", group), new Member("other", group)]
  await killed.join(topic, POLL_MS)
  const joins = other.join(topic, POLL_MS)
  const wanted = await killed.hears("revoke", POLL_MS)
  // It stays a member, and comes back to what the group has left to it: nobody asks to join again.
  await killed.consumer.close()
  const back = new Member("one", group)
  expect(await back.join(topic, POLL_MS)).toHaveLength(1)
  const config = { bootstrap: kafka.bootstrap, settings: {} }
  const claims = Effect.andThen(
    claimUnowned(back.consumer, config, { group, member: "one", topics: [topic] }),
    Effect.never
  )
  const claiming = Effect.runFork(Effect.scoped(claims))
  let given: readonly TopicPartition[] | undefined
  const heard = joins.then(taken => {
    given = taken
  })
  while (given === undefined)
    for (const event of await back.poll(POLL_MS))
      if (event.type === "assign") await back.consumer.take(event.partitions)
  await heard
  expect(given).toEqual(wanted)
  claiming.interruptUnsafe()
  await Promise.all([back.consumer.close(), other.consumer.close()])
})
