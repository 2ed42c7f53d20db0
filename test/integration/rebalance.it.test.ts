import { afterAll, beforeAll, expect, test } from "bun:test"
import { toPlan } from "headrace"
import pipeline, { Order, Rated } from "../fixtures/orders.ts"
import { GatedLane } from "../support/gated-lane.ts"
import { poll } from "../support/headrace.ts"
import { auditTopic, ensureIndependentClient } from "../support/independent.ts"
import { type OrdersWorld, startOrders } from "../support/orders.ts"
import { receive, send } from "../support/records.ts"

const PARTITIONS = [0, 1, 2]
const AT_ONCE = 20
/** Between two rounds: all output is read again for each question that the test asks. */
const PAUSE_MS = 100
/** A member that leaves is waited for as long; one of a busy machine must not be taken for such a one. */
const SESSION_TIMEOUT_MS = 8_000

const worlds: OrdersWorld[] = []

beforeAll(ensureIndependentClient)

afterAll(() => Promise.all(worlds.map(world => world.stop())))

/** Sends to all partitions, again and again, until it is stopped. Each round is known by the ids that it sent where. */
class Load {
  readonly rounds: (readonly (readonly number[])[])[] = []
  private readonly world: OrdersWorld
  private readonly done: Promise<void>
  private stopped = false
  private nextId = 0

  constructor(world: OrdersWorld) {
    this.world = world
    this.done = this.run()
  }

  get sent(): number {
    return this.nextId
  }

  /** A round that begins after this call, once the broker has it. */
  async next(): Promise<readonly (readonly number[])[]> {
    const after = this.rounds.length + 1
    await poll(
      () => this.rounds.length > after,
      () => `round ${after} of the load`
    )
    return this.rounds[after]!
  }

  async stop(): Promise<void> {
    this.stopped = true
    await this.done
  }

  private async run(): Promise<void> {
    while (!this.stopped) {
      const round = PARTITIONS.map(() => Array.from({ length: AT_ONCE }, () => this.nextId++))
      const records = round.flatMap((ids, partition) => ids.map(id => order(id, partition)))
      await send(this.world.servers, "orders", Order, records)
      this.rounds.push(round)
      await Bun.sleep(PAUSE_MS)
    }
  }
}

const order = (id: number, partition: number) => {
  const account = `account-${partition}-${id % 5}`
  return { key: account, partition, id, account, cents: id, at: id }
}

test.each(["classic", "consumer"] as const)(
  "while a member joins and leaves, partitions that do not move go on committing as the moved ones are restored: %s",
  async protocol => {
    const world = await startOrders()
    worlds.push(world)
    const job = (instance: string) => ({
      ...world.job("orders"),
      instance,
      sessionTimeoutMs: SESSION_TIMEOUT_MS,
      kafka: { bootstrap: world.servers.bootstrap, settings: { "group.protocol": protocol } }
    })
    const committed = async () =>
      new Set((await receive(world.servers, "orders.rated", Rated)).map(({ value }) => Number(value.id)))
    const reach = (ids: readonly number[], what: string) =>
      poll(
        async () => {
          const found = await committed()
          return ids.every(id => found.has(id))
        },
        () => `the output of ${ids.length} records: ${what}`
      )
    /** The restores of `lane` wait: what it does not restore is committed all the same, and what it does is not. */
    const othersGoOn = async (lane: GatedLane, load: Load): Promise<void> => {
      await poll(
        () => lane.gate.waiting.size > 0,
        () => "a partition that arrives"
      )
      const moving = [...lane.gate.waiting]
      const staying = PARTITIONS.filter(partition => !moving.includes(partition))
      expect(staying).not.toEqual([])
      const round = await load.next()
      await reach(
        staying.flatMap(partition => round[partition]!),
        `partitions ${staying}, which stay`
      )
      expect([...lane.gate.waiting]).toEqual(moving)
      const found = await committed()
      expect(moving.flatMap(partition => round[partition]!).filter(id => found.has(id))).toEqual([])
      lane.gate.open()
      await reach(round.flat(), `partitions ${moving} after their restore`)
    }

    const plan = toPlan(pipeline)
    const first = new GatedLane(plan, job("first"))
    first.gate.open()
    const load = new Load(world)
    try {
      await reach((await load.next()).flat(), "all partitions at the first member")
      first.gate.shut()
      const second = new GatedLane(plan, job("second"))
      await othersGoOn(second, load)
      await second.stop()
      await othersGoOn(first, load)
    } finally {
      await load.stop()
    }
    await reach(load.rounds.flat(2), "all that was sent")
    await first.stop()
    // Not one partition that stayed was rebuilt for the sake of those that moved.
    expect(first.metrics.get("restores")).toBe(0)
    const audit = await auditTopic({
      bootstrap: world.servers.bootstrap,
      registry: world.servers.registry,
      topic: "orders.rated",
      sent: String(load.sent)
    })
    expect(audit).toMatchObject({ distinct: load.sent, duplicated: 0, disordered: 0, missing: 0, unreadable: 0 })
  }
)
