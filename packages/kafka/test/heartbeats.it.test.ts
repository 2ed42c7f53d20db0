import { afterAll, beforeAll, expect, test } from "bun:test"
import { groupSettings, SOURCE_DEFAULTS } from "../src/defaults.ts"
import { Arena, Consumer, type TopicPartition } from "../src/index.ts"
import { apiOf, clientOf, HoldingProxy, startBehind } from "./proxy.ts"
import { createTopic, fresh } from "./support.ts"

const CONSUMER_GROUP_HEARTBEAT = 68
/** An answer without partitions is shorter, whatever the member is called. */
const WITH_PARTITIONS_BYTES = 60
const POLL_MS = 100

/** By then the client has given up on the answer: the development broker's heartbeat interval is a second. */
const LATE_MS = 1_500

/** The first answer to the first member that takes partitions from it comes late: there are fewer in it than in one before. */
let largest = 0
let late = 0
const proxy = new HoldingProxy(
  () => false,
  (answer, request) => {
    if (apiOf(request) !== CONSUMER_GROUP_HEARTBEAT || clientOf(request) !== "one") return answer
    if (answer.length < WITH_PARTITIONS_BYTES || late > 0) return answer
    largest = Math.max(largest, answer.length)
    if (answer.length === largest) return answer
    late++
    return new Promise(resolve => setTimeout(resolve, LATE_MS, answer))
  }
)

let behind: Awaited<ReturnType<typeof startBehind>>
beforeAll(async () => {
  behind = await startBehind(proxy)
})
afterAll(() => behind?.stop())

/** A static member by KIP-848, that does what it is told. */
class Member {
  readonly consumer: Consumer
  private readonly arena = new Arena(1 << 16, 10)
  private has: readonly TopicPartition[] = []

  constructor(name: string, group: string) {
    this.consumer = Consumer.open({
      ...SOURCE_DEFAULTS,
      ...groupSettings({ "group.protocol": "consumer" }, { group, member: name, sessionTimeoutMs: 10_000 }),
      "bootstrap.servers": behind.bootstrap,
      "client.id": name
    })
  }

  /** Polls once; answers with how many partitions it has. */
  async poll(): Promise<number> {
    const { events } = await this.consumer.poll(this.arena, 10, POLL_MS)
    for (const event of events) {
      if (event.type === "assign") {
        await this.consumer.take(event.partitions)
        this.has = [...this.has, ...event.partitions]
      } else if (event.type === "revoke" || event.type === "lost") {
        await this.consumer.unassign(event.partitions)
        const gone = new Set(event.partitions.map(({ partition }) => partition))
        this.has = this.has.filter(({ partition }) => !gone.has(partition))
      }
    }
    return this.has.length
  }
}

test("a member gives back what it was told to by an answer that came too late: the next one says so again", async () => {
  const [topic, group] = [await createTopic(behind.bootstrap, 2), fresh("group")]
  const one = new Member("one", group)
  await one.consumer.subscribe([topic])
  while ((await one.poll()) < 2);
  const other = new Member("other", group)
  await other.consumer.subscribe([topic])
  while (true) {
    const [ones, others] = await Promise.all([one.poll(), other.poll()])
    if (ones === 1 && others === 1) break
  }
  expect(late).toBe(1)
  await Promise.all([one.consumer.close(), other.consumer.close()])
})
