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

let kafka: Kafka
let registry: Registry

beforeAll(async () => {
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry(), ensureIndependentClient()])
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  await admin.createTopics([{ topic: TOPICS.balances, partitions: 1, replication: 1 }])
  await admin.close()
}, 300_000)
afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
})

const ACCOUNTS = 4
const CALL_MS = 10_000
const accounts = new Accounts(ACCOUNTS, 1)

/** id, account, the account's count of movements. */
type Record = readonly [number, number, number]

/** In one transaction, which stays open where it is not to be committed. */
const write = async (records: readonly Record[], commit: boolean): Promise<Producer> => {
  const producer = Producer.open({ "bootstrap.servers": kafka.bootstrap, "transactional.id": `test-${commit}` })
  const encoder = await openEncoder({ url: registry.url }, Balance, TOPICS.balances)
  const outbox = new ArenaOutbox(producer, producer.topicId(TOPICS.balances), encoder)
  await producer.initTransactions(CALL_MS)
  producer.begin()
  for (const [id, account, movements] of records) {
    const balance = { id, account: accounts.names[account]!, movements, cents: movements * 10, sentAt: 0 }
    outbox.put(accounts.keys[account]!, balance, 0)
  }
  expect(outbox.send()).toBe(true)
  await producer.flush(CALL_MS)
  if (commit) await producer.commit(CALL_MS)
  return producer
}

test("finds what is missing, doubled, out of order or of wrong state, and open transactions", async () => {
  const where = { bootstrap: kafka.bootstrap, registry: registry.url, topic: TOPICS.balances }
  const follower = new Follower({ ...where, partitions: 1, accounts: ACCOUNTS })
  const records: Record[] = [
    [0, 0, 1],
    [1, 1, 1],
    [1, 1, 2], // twice
    [5, 2, 1],
    [4, 2, 2], // before its time
    [7, 0, 3] // a movement that state has doubled
  ]
  const done = await write(records, true)
  const never = new AbortController().signal
  expect(await follower.reached(7, 20_000, never)).toBeNumber()
  expect(await follower.open()).toEqual([])
  const open = await write([[8, 3, 1]], false)
  expect(await follower.open()).toEqual(["balances/0"])
  // What is not committed does not count.
  expect(await follower.reached(8, 500, never)).toBeUndefined()
  expect(await follower.result(9)).toEqual({
    records: 6,
    counts: { missing: 4, duplicated: 1, disordered: 1, wrong: 1 },
    missing: [2, 3, 6, 8],
    duplicated: [1],
    disordered: [4],
    wrong: [7]
  })
  await Promise.all([done.close(), open.close(), follower.stop()])
}, 60_000)
