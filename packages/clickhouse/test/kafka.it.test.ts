import { afterAll, beforeAll, expect, test } from "bun:test"
import { type ClickHouse, type Kafka, startClickHouse, startKafka } from "@headrace/dev"
import { type CommittedLog, LogError, STRIDE } from "@headrace/engine"
import { Admin, PRODUCER_DEFAULTS, Producer } from "@headrace/kafka"
import { Effect, Exit, Scope } from "effect"
import { openCommittedLog } from "../../kafka/src/committed-log.ts"
import { standsAtEnd } from "../../kafka/test/support.ts"
import { countSql } from "../src/audit.ts"
import { connect, type ServerShape } from "../src/server.ts"
import type { Target } from "../src/target.ts"
import { rowsIn, startOn, targetOf, uniqueName, until } from "./harness.ts"
import { encodePlain } from "./plain-format.ts"

const PARTITIONS = 3
const scope = Scope.makeUnsafe()
let kafka: Kafka
let clickhouse: ClickHouse
let server: ServerShape
beforeAll(async () => {
  const servers = await Promise.all([startKafka(), startClickHouse()])
  kafka = servers[0]
  clickhouse = servers[1]
  server = await Effect.runPromise(Scope.provide(connect({ url: clickhouse.url, database: uniqueName("db") }), scope))
})
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  await Promise.all([kafka?.stop(), clickhouse?.stop()])
})

const createTopic = async (topic: string): Promise<void> => {
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  await admin.createTopics([{ topic, partitions: PARTITIONS, replication: 1, config: {} }], 30_000)
  await admin.close()
}

/** Transactions of `size` records each; every third one is aborted. Answers the number of committed records. */
const produce = async (topic: string, transactions: number, size: number): Promise<number> => {
  const producer = Producer.open({
    ...PRODUCER_DEFAULTS,
    "bootstrap.servers": kafka.bootstrap,
    "transactional.id": uniqueName("tx")
  })
  const id = producer.topicId(topic)
  await producer.initTransactions(30_000)
  let committed = 0
  for (let t = 0; t < transactions; t++) {
    producer.begin()
    producer.produce(arenaOf(id, t, size), 0, size)
    await producer.flush(30_000)
    if (t % 3 === 1) await producer.abort(30_000)
    else {
      await producer.commit(30_000)
      committed += size
    }
  }
  await producer.close(30_000)
  return committed
}

const arenaOf = (topicId: number, t: number, size: number) => {
  const values = Array.from({ length: size }, (_, i) =>
    encodePlain({ id: t * size + i, account: `account ${t} ${i}`, kind: "a" }, ["account"])
  )
  const bytes = new Uint8Array(values.reduce((sum, value) => sum + value.length, 0))
  const index = new Int32Array(size * STRIDE)
  const stamps = new Float64Array(size).fill(Number.NaN)
  let at = 0
  for (const [i, value] of values.entries()) {
    bytes.set(value, at)
    index.set([topicId, i % PARTITIONS, 0, -1, at, value.length, 0, -1], i * STRIDE)
    at += value.length
  }
  return { bytes, index, stamps }
}

interface Member {
  readonly topic: string
  readonly group: string
  readonly protocol: string
}

const withLog = async <A>(of: Member, member: string, use: (log: CommittedLog) => Promise<A>) => {
  const life = Scope.makeUnsafe()
  try {
    const config = { bootstrap: kafka.bootstrap, settings: { "group.protocol": of.protocol } }
    const options = { topic: of.topic, group: of.group, member, sessionTimeoutMs: 10_000 }
    return await use(await Effect.runPromise(Scope.provide(openCommittedLog(config, options), life)))
  } finally {
    await Effect.runPromise(Scope.close(life, Exit.void))
  }
}

/** Nothing after the crash reaches Kafka, not even the farewell: what `kill -9` leaves. */
const mortal = (log: CommittedLog) => {
  let dead = false
  const commit: CommittedLog["commit"] = marks =>
    dead ? Effect.fail(new LogError("Fenced", "this process is dead")) : log.commit(marks)
  return {
    log: { ...log, commit },
    die: () => {
      dead = true
    }
  }
}

const crashing = (target: Target, point: "insert" | "ledger" | "plan", passages: number, die: () => void): Target => {
  let left = passages
  const now = (where: typeof point) =>
    Effect.suspend(() => {
      if (where !== point || --left !== 0) return Effect.void
      die()
      return Effect.die("crash")
    })
  return {
    ...target,
    insert: block => Effect.andThen(now("plan"), Effect.andThen(target.insert(block), now("insert"))),
    record: plan => Effect.andThen(target.record(plan), now("ledger"))
  }
}

const PROTOCOLS = ["classic", "consumer"]

test.each(PROTOCOLS)(
  "Kafka, %s groups: aborted transactions and markers, killed at each step, exactly once",
  async protocol => {
    const topic = uniqueName("topic").replace(/_/g, "-")
    const [table, group] = [uniqueName("events"), uniqueName("group")]
    await createTopic(topic)
    const target = await targetOf(server, table, topic)
    let committed = await produce(topic, 12, 60)
    for (const point of ["plan", "insert", "ledger", "insert"] as const) {
      committed += await produce(topic, 9, 60)
      await withLog({ topic, group, protocol }, "same", async log => {
        const { log: doomed, die } = mortal(log)
        const crash = crashing(target, point, 2, die)
        const sink = startOn(topic, doomed, table, crash, { blockBytes: 3000, pollRecords: 40 })
        const ended = await sink.ended
        expect(Exit.isFailure(ended) && ended.cause.reasons.some(reason => reason._tag === "Die")).toBe(true)
      })
    }
    await withLog({ topic, group, protocol }, "same", async log => {
      const sink = startOn(topic, log, table, target, { blockBytes: 3000 })
      await until(async () => (await rowsIn(server, countSql(server.database, table))).rows >= committed)
      await sink.stop()
    })
    expect(await rowsIn(server, countSql(server.database, table))).toEqual({ rows: committed, distinct: committed })
  }
)

test.each(PROTOCOLS)("Kafka, %s groups: a second member joins and leaves in mid-run", async protocol => {
  const topic = uniqueName("topic").replace(/_/g, "-")
  const [table, group] = [uniqueName("events"), uniqueName("group")]
  await createTopic(topic)
  const target = await targetOf(server, table, topic)
  let committed = await produce(topic, 9, 60)
  const options = { blockBytes: 3000, pollRecords: 40 }
  await withLog({ topic, group, protocol }, "one", async first => {
    const one = startOn(topic, first, table, target, options)
    await until(() => one.metrics.get("recordsOut") > 0)
    await withLog({ topic, group, protocol }, "two", async second => {
      const two = startOn(topic, second, table, target, options)
      committed += await produce(topic, 30, 60)
      await until(() => two.metrics.get("partitions") > 0)
      committed += await produce(topic, 9, 60)
      await until(async () => (await rowsIn(server, countSql(server.database, table))).rows >= committed)
      await two.stop()
    })
    committed += await produce(topic, 9, 60)
    await until(async () => (await rowsIn(server, countSql(server.database, table))).rows >= committed)
    await one.stop()
  })
  expect(await rowsIn(server, countSql(server.database, table))).toEqual({ rows: committed, distinct: committed })
})

test("Kafka: retention that removes all of a quiet topic, markers too, is no loss", async () => {
  const topic = uniqueName("topic").replace(/_/g, "-")
  const [table, group] = [uniqueName("events"), uniqueName("group")]
  await createTopic(topic)
  const target = await targetOf(server, table, topic)
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }))
  const member = { topic, group, protocol: "classic" }
  let committed = await produce(topic, 3, 60)
  await withLog(member, "same", async log => {
    const sink = startOn(topic, log, table, target)
    await until(() => sink.metrics.get("recordsOut") === committed)
    await until(() => standsAtEnd(kafka.bootstrap, group, partitions))
    await until(() => sink.metrics.get("lag") === 0)
    await sink.stop()
  })
  const admin = Admin.open({ "bootstrap.servers": kafka.bootstrap })
  await admin.deleteRecords(partitions.map(one => ({ ...one, offset: "end" })))
  await admin.close()
  committed += await produce(topic, 3, 60)
  await withLog(member, "same", async log => {
    const sink = startOn(topic, log, table, target)
    await until(async () => (await rowsIn(server, countSql(server.database, table))).rows >= committed)
    await sink.stop()
  })
  expect(await rowsIn(server, countSql(server.database, table))).toEqual({ rows: committed, distinct: committed })
})

test("Kafka: the ends of partitions are the last stable ones, with a transaction open too", async () => {
  const topic = uniqueName("topic").replace(/_/g, "-")
  await createTopic(topic)
  await produce(topic, 3, 60)
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({ topic, partition }))
  const open = Producer.open({
    ...PRODUCER_DEFAULTS,
    "bootstrap.servers": kafka.bootstrap,
    "transactional.id": uniqueName("tx"),
    // Open for as long as it is looked at.
    "transaction.timeout.ms": "300000"
  })
  await open.initTransactions(30_000)
  open.begin()
  open.produce(arenaOf(open.topicId(topic), 0, 60), 0, 60)
  await open.flush(30_000)
  await withLog({ topic, group: uniqueName("group"), protocol: "classic" }, "same", async log => {
    // Twenty records of two transactions that were committed and one that was aborted, and their markers.
    expect(await Effect.runPromise(log.ends(partitions))).toEqual([63, 63, 63])
    await open.abort(30_000)
    await until(async () => (await Effect.runPromise(log.ends(partitions))).every(end => end === 84))
    const unknown = await Effect.runPromiseExit(log.ends([{ topic, partition: PARTITIONS }]))
    expect(Exit.isFailure(unknown)).toBe(true)
  })
  await open.close(30_000)
})
