import { afterAll, beforeAll, expect, test } from "bun:test"
import { groupSettings, SOURCE_DEFAULTS } from "../src/defaults.ts"
import { Arena, Consumer, type ConsumerEvent } from "../src/index.ts"
import { apiOf, clientOf, HoldingProxy, startBehind } from "./proxy.ts"
import { createTopic, fresh, openProducer } from "./support.ts"

const JOIN_GROUP = 11
const T = 30_000

const proxy = new HoldingProxy(frame => apiOf(frame) === JOIN_GROUP && clientOf(frame) === "slow")
let behind: Awaited<ReturnType<typeof startBehind>>
let bootstrap = ""
beforeAll(async () => {
  behind = await startBehind(proxy)
  bootstrap = behind.bootstrap
})
afterAll(() => behind?.stop())

/** A static member of a group, by hand. */
class Member {
  readonly consumer: Consumer
  readonly events: ConsumerEvent[] = []
  private readonly arena = new Arena(1 << 16, 10)

  constructor(group: string, name: string) {
    const settings = groupSettings({}, { group, member: name, sessionTimeoutMs: 5_000 })
    this.consumer = Consumer.open({
      ...SOURCE_DEFAULTS,
      ...settings,
      "bootstrap.servers": bootstrap,
      "client.id": name,
      "auto.offset.reset": "earliest"
    })
  }

  /** Takes what it is given, and gives back what it is to give back, until all of it says so. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) {
      const { events } = await this.consumer.poll(this.arena, 10, 50)
      this.events.push(...events)
      for (const event of events) {
        if (event.type === "assign") await this.consumer.take(event.partitions)
        if (event.type === "revoke" || event.type === "lost") await this.consumer.unassign(event.partitions)
      }
    }
  }

  get partitions(): number {
    return this.consumer.assignment().length
  }
}

test("a member that is let go while it asks to join is told, and commits nothing of what it had", async () => {
  const [topic, group] = [await createTopic(bootstrap, 2), fresh("group")]
  const producer = openProducer(bootstrap, { "transactional.id": fresh("tx") })
  await producer.initTransactions(T)
  const slow = new Member(group, "slow")
  await slow.consumer.subscribe([topic])
  await slow.until(() => slow.partitions === 2)
  const id = slow.consumer.memberId()

  // It hears that the group moves, and its answer does not arrive within its session: the other one is given all that it had.
  proxy.hold()
  const quick = new Member(group, "quick")
  await quick.consumer.subscribe([topic])
  await Promise.all([slow.until(() => proxy.held), quick.until(() => quick.partitions === 2)])
  expect(slow.partitions).toBe(2)

  proxy.release()
  let over = false
  const others = quick.until(() => over)
  await slow.until(() => !["", id].includes(slow.consumer.memberId()))
  producer.begin()
  const offsets = [{ topic, partition: 0, offset: 1 }]
  const refused = await producer.sendOffsets(offsets, slow.consumer, T).then(
    () => undefined,
    error => error
  )
  expect(refused).toMatchObject({ abortable: true, message: expect.stringContaining("has let this member go") })
  await slow.until(() =>
    slow.events.some(event => event.type === "lost" || (event.type === "error" && event.error.fatal))
  )
  expect(slow.events.filter(event => event.type === "revoke")).toEqual([])
  over = true
  await others
  await Promise.all([slow.consumer.close(), quick.consumer.close(), producer.close()])
})
