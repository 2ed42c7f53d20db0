/** The chaos run's independent audit, on a topic in which everything is wrong that can be. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Admin, Producer } from "@headrace/kafka"
import { Follower } from "../chaos/audit/follower.ts"
import { Balance, TOPICS } from "../chaos/job/movement.ts"
import { ensureIndependentClient } from "../src/audit/node.ts"
import { openEncoder } from "../src/codecs.ts"
import { Accounts } from "../src/generator/accounts.ts"
import { ArenaOutbox } from "../src/generator/outbox.ts"
import { Alert } from "../src/scenarios/payments/schemas.ts"

let kafka: Kafka
let registry: Registry

beforeAll(async () => {
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry(), ensureIndependentClient()])
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  const topics = [TOPICS, HALTED].flatMap(({ balances, alerts }) => [balances, alerts])
  await admin.createTopics(topics.map(topic => ({ topic, partitions: 1, replication: 1 })))
  await admin.close()
})
afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
})

interface Topics {
  readonly balances: string
  readonly alerts: string
}
const HALTED: Topics = { balances: "halted.balances", alerts: "halted.alerts" }

const ACCOUNTS = 4
const CALL_MS = 30_000
const accounts = new Accounts(ACCOUNTS, 1)

/** id, account, the account's count of movements. */
type Record = readonly [number, number, number]

/** A rule, and the ids of the first and the last event. */
type Raised = readonly [Alert["rule"], number, number]

/** In one transaction, which stays open where it is not to be committed. */
const write = async (
  topics: Topics,
  records: readonly Record[],
  alerts: readonly Raised[],
  commit: boolean
): Promise<Producer> => {
  const producer = Producer.open({ "bootstrap.servers": kafka.bootstrap, "transactional.id": `test-${commit}` })
  const encoder = await openEncoder({ url: registry.url }, Balance, topics.balances)
  const outbox = new ArenaOutbox(producer, producer.topicId(topics.balances), encoder)
  await producer.initTransactions(CALL_MS)
  producer.begin()
  for (const [id, account, movements] of records) {
    const balance = { id, account: accounts.names[account]!, movements, cents: movements * 10, sentAt: 0 }
    outbox.put(accounts.keys[account]!, balance, 0)
  }
  expect(outbox.send()).toBe(true)
  const toAlerts = new ArenaOutbox(
    producer,
    producer.topicId(topics.alerts),
    await openEncoder({ url: registry.url }, Alert, topics.alerts)
  )
  for (const [rule, firstId, lastId] of alerts) {
    const alert = { rule, key: accounts.names[0]!, firstId, lastId, at: 0, sentAt: 0 }
    toAlerts.put(accounts.keys[0]!, alert, 0)
  }
  expect(toAlerts.send()).toBe(true)
  await producer.flush(CALL_MS)
  if (commit) await producer.commit(CALL_MS)
  return producer
}

const follow = ({ balances, alerts }: Topics, say: (line: string) => void): Follower => {
  const where = { bootstrap: kafka.bootstrap, registry: registry.url, topic: balances, alerts }
  return new Follower({ ...where, partitions: 1, accounts: ACCOUNTS }, say)
}

const fail = (line: string) => expect.unreachable(line)

test("finds what is missing, doubled, out of order or of wrong state, and open transactions", async () => {
  const follower = follow(TOPICS, fail)
  const records: Record[] = [
    [0, 0, 1],
    [1, 1, 1],
    [1, 1, 2], // twice
    [5, 2, 1],
    [4, 2, 2], // before its time
    [7, 0, 3] // a movement that state has doubled
  ]
  const raised: Raised[] = [
    ["trial", 1, 5],
    ["silence", 4, 4],
    ["trial", 1, 5]
  ]
  const done = await write(TOPICS, records, raised, true)
  const never = new AbortController().signal
  expect(await follower.reached(7, 120_000, never)).toBeNumber()
  expect(await follower.open()).toEqual([])
  const open = await write(TOPICS, [[8, 3, 1]], [["guess", 7, 8]], false)
  expect((await follower.open()).toSorted()).toEqual(["alerts/0", "balances/0"])
  // What is not committed does not count.
  expect(await follower.reached(8, 500, never)).toBeUndefined()
  expect(await follower.result(9)).toEqual({
    records: 6,
    counts: { missing: 4, duplicated: 1, disordered: 1, wrong: 1 },
    missing: [2, 3, 6, 8],
    duplicated: [1],
    disordered: [4],
    wrong: [7],
    alerts: new Map([
      ["trial 1 5", 2],
      ["silence 4 4", 1]
    ])
  })
  await Promise.all([done.close(), open.close(), follower.stop()])
})

test("goes on in a new client where the one that it has stands still, and counts nothing twice", async () => {
  const said: string[] = []
  const follower = follow(HALTED, line => said.push(line))
  const never = new AbortController().signal
  const before = await write(HALTED, [[0, 0, 1]], [["trial", 0, 0]], true)
  expect(await follower.reached(0, 120_000, never)).toBeNumber()
  follower.halt()
  const after = await write(HALTED, [[1, 0, 2]], [["trial", 0, 1]], true)
  // Also while it has none: whoever asks then is answered by the new one.
  const asked: Promise<unknown>[] = []
  const asking = setInterval(() => asked.push(follower.result(2)), 20)
  expect(await follower.reached(1, 120_000, never)).toBeNumber()
  clearInterval(asking)
  await Promise.all(asked)
  // At the record's end, or behind its marker, if that had come as well.
  expect(said.join("\n")).toContain(`stood still, and is replaced: ${HALTED.balances}/0 at `)
  expect(await follower.result(2)).toMatchObject({
    records: 2,
    counts: { missing: 0, duplicated: 0, disordered: 0, wrong: 0 },
    alerts: new Map([
      ["trial 0 0", 1],
      ["trial 0 1", 1]
    ])
  })
  await Promise.all([before.close(), after.close(), follower.stop()])
})
