import { expect, test } from "bun:test"
import { LogError, type Mark, PHASES } from "@headrace/engine"
import { Effect, Exit } from "effect"
import { countSql } from "../src/audit.ts"
import { type Plan, parsePlan } from "../src/block.ts"
import { Unavailable } from "../src/errors.ts"
import { LEDGER } from "../src/index.ts"
import type { CallError, ServerShape } from "../src/server.ts"
import type { Target } from "../src/target.ts"
import { fill, rowsIn, start, targetOf, uniqueName, until } from "./harness.ts"
import { MemoryMember, MemoryTopic } from "./memory-log.ts"

const CRASH = "crash"
const die = Effect.die(CRASH)

/** Where a process can be killed: what has happened by then differs. */
const POINTS = ["before plan", "after plan", "after insert", "after ledger"] as const
type Point = (typeof POINTS)[number]

/** A target that kills the sink at the n-th passage of a point. */
const dying = (target: Target, point: Point, passages: number): Target => {
  let left = passages
  const now = (where: Point) => Effect.suspend(() => (where === point && --left === 0 ? die : Effect.void))
  return {
    ...target,
    insert: block => Effect.andThen(now("after plan"), Effect.andThen(target.insert(block), now("after insert"))),
    record: plan => Effect.andThen(target.record(plan), now("after ledger"))
  }
}

/** A target that one call does not reach until it is mended. */
const cutOff = (target: Target, call: "finished" | "insert") => {
  const state = { refused: 0, mended: false }
  const reach = <A>(effect: Effect.Effect<A, CallError>): Effect.Effect<A, CallError> =>
    Effect.suspend(() => {
      if (state.mended) return effect
      state.refused++
      return Effect.fail(new Unavailable({ message: "cut off", cause: undefined }))
    })
  const reached: Target =
    call === "finished"
      ? { ...target, finished: reach(target.finished) }
      : { ...target, insert: block => reach(target.insert(block)) }
  return {
    target: reached,
    get refused() {
      return state.refused
    },
    mend: () => {
      state.mended = true
    }
  }
}

/** The commits of a partition that went back behind one before. */
const watchForRewinding = (topic: MemoryTopic, partition: number) => {
  const found: (readonly [from: number, to: number])[] = []
  topic.onCommit = marks => {
    const before = topic.committed.get(partition)?.offset ?? 0
    for (const mark of marks)
      if (mark.partition === partition && mark.offset < before) found.push([before, mark.offset])
  }
  return () => found
}

/** The contract of the sink, run against each kind of server. */
export const sinkSuite = (name: string, server: () => ServerShape): void => {
  const setup = async (records: number, window?: number) => {
    const topic = new MemoryTopic(uniqueName("topic"), 4)
    const table = uniqueName("events")
    const target = await targetOf(server(), table, topic.name, window ? { deduplicationWindow: window } : {})
    fill(topic, records)
    const count = () => rowsIn(server(), countSql(server().database, table))
    return { topic, table, target, count }
  }
  const exactly = (rows: number) => ({ rows, distinct: rows })

  test(`${name}: every record becomes a row, once, and the group ends behind the last`, async () => {
    const { topic, table, target, count } = await setup(1000)
    const sink = start(topic, table, target)
    await until(() => sink.metrics.get("recordsOut") === topic.records)
    await sink.stop()
    expect(await count()).toEqual(exactly(topic.records))
    for (const [p, records] of topic.partitions.entries()) {
      expect(topic.committed.get(p)).toMatchObject({ offset: records.at(-1)!.offset + 1, metadata: "" })
    }
  })

  for (const point of POINTS) {
    test(`${name}: killed ${point}, again and again`, async () => {
      const { topic, table, target, count } = await setup(2500)
      for (let crash = 1; crash <= 4; crash++) {
        if (point === "before plan") {
          let left = crash
          topic.onCommit = () => {
            if (--left === 0) throw CRASH
          }
        }
        const sink = start(topic, table, dying(target, point, crash))
        const ended = await sink.ended
        sink.member.fenced = true
        expect(Exit.isFailure(ended) && ended.cause.reasons.some(reason => reason._tag === "Die")).toBe(true)
        topic.onCommit = () => {}
      }
      const last = start(topic, table, target)
      await until(async () => (await count()).rows >= topic.records)
      await last.stop()
      expect(await count()).toEqual(exactly(topic.records))
    })
  }

  test(`${name}: a plan whose commit was not answered holds`, async () => {
    const { topic, table, target, count } = await setup(600)
    let failures = 6
    topic.onCommit = marks => {
      if (failures-- <= 0) return
      if (failures % 2) for (const mark of marks) topic.committed.set(mark.partition, mark)
      throw new LogError("Unknown", "timed out")
    }
    const sink = start(topic, table, target)
    await until(() => sink.metrics.get("recordsOut") >= topic.records)
    await sink.stop()
    expect(await count()).toEqual(exactly(topic.records))
  })

  test(`${name}: partitions of an open block go to two other members`, async () => {
    const { topic, table, target, count } = await setup(900)
    const first = start(topic, table, dying(target, "after insert", 2))
    await first.ended
    first.member.fenced = true
    fill(topic, 300)
    const members = [
      [0, 1],
      [2, 3]
    ].map(owned => start(topic, table, target, {}, new MemoryMember(topic, owned)))
    await until(async () => (await count()).rows >= topic.records)
    for (const member of members) await member.stop()
    expect(await count()).toEqual(exactly(topic.records))
  })

  test(`${name}: partitions taken away in mid-run, and given back`, async () => {
    const { topic, table, target, count } = await setup(400)
    const sink = start(topic, table, target)
    for (let round = 0; round < 5; round++) {
      fill(topic, 200)
      sink.member.change("revoke", [1, 3])
      const before = sink.member.polls
      await until(() => sink.member.polls > before + 3)
      sink.member.change("assign", [1, 3])
    }
    await until(async () => (await count()).rows >= topic.records)
    await sink.stop()
    expect(await count()).toEqual(exactly(topic.records))
  })

  test(`${name}: a partition taken away while its plan's outcome is unknown`, async () => {
    const { topic, table, target, count } = await setup(400)
    let unknown = true
    topic.onCommit = marks => {
      if (!unknown) return
      for (const mark of marks) topic.committed.set(mark.partition, mark)
      throw new LogError("Unknown", "timed out")
    }
    const sink = start(topic, table, target)
    await until(() => topic.committed.size > 0)
    sink.member.change("revoke", [0])
    const other = new MemoryMember(topic, [0])
    const before = sink.member.polls
    await until(() => sink.member.polls > before + 2)
    unknown = false
    const second = start(topic, table, target, {}, other)
    await until(async () => (await count()).rows >= topic.records)
    await sink.stop()
    await second.stop()
    expect(await count()).toEqual(exactly(topic.records))
  })

  for (const call of ["finished", "insert"] as const) {
    for (const killed of [false, true]) {
      const how = killed ? "is killed between insert and ledger" : "leaves in order"
      test(`${name}: "${call}" fails while another sink has the partition, which ${how}`, async () => {
        const { topic, table, target, count } = await setup(900)
        await start(topic, table, dying(target, "after plan", 2)).ended
        const rewound = watchForRewinding(topic, 0)
        const cut = cutOff(target, call)
        const sink = start(topic, table, cut.target)
        await until(() => cut.refused > 0)
        await sink.changes("revoke", [0])
        const theirs = killed ? dying(target, "after insert", 3) : target
        const other = start(topic, table, theirs, {}, new MemoryMember(topic, [0]))
        await Promise.race([until(() => !killed && other.metrics.get("commits") >= 2), other.ended])
        await other.stop()
        await sink.changes("assign", [0])
        cut.mend()
        await Promise.race([until(async () => (await count()).rows >= topic.records), sink.ended])
        await sink.stop()
        expect(await count()).toEqual(exactly(topic.records))
        expect(rewound()).toEqual([])
      })
    }
  }

  test(`${name}: a zombie that wakes after the deduplication window moved on`, async () => {
    const { topic, table, target, count } = await setup(2000, 2)
    const asleep: { insert: Effect.Effect<void, unknown>; plan: Plan }[] = []
    const drowsy: Target = {
      ...target,
      insert: block => {
        const copy = {
          ...block,
          parts: block.parts.map(part => Object.assign(Object.create(part), { out: frozen(part.out) }))
        }
        if (asleep.length < 3) asleep.push({ insert: target.insert(copy), plan: block.plan })
        return target.insert(block)
      }
    }
    const sink = start(topic, table, drowsy)
    await until(() => sink.metrics.get("recordsOut") === topic.records)
    await sink.stop()
    expect(sink.metrics.get("commits")).toBeGreaterThan(5)
    for (const { insert } of asleep) await Effect.runPromise(insert as Effect.Effect<void>)
    expect(await count()).toEqual(exactly(topic.records))
    // Without the ledger the same requests double rows: the test can fail.
    const ledger = `${server().database}.${LEDGER}`
    await Effect.runPromise(
      server().command(`ALTER TABLE ${ledger} DELETE WHERE topic = '${topic.name}' SETTINGS mutations_sync = 2`)
    )
    await Effect.runPromise(asleep[0]!.insert as Effect.Effect<void>)
    expect((await count()).rows).toBeGreaterThan(topic.records)
  })

  test(`${name}: retention has eaten part of an open plan`, async () => {
    const { topic, table, target } = await setup(400)
    await start(topic, table, dying(target, "after plan", 1)).ended
    const plan = parsePlan(topic.committed.get(0)!.metadata)!
    topic.deleteBefore(0, plan.ranges[0]!.first + 2)
    const reason = await failureOf(start(topic, table, target).ended)
    expect(reason._tag).toBe("Eaten")
    expect(reason.message).toContain(`${topic.name}[0]`)
  })

  test(`${name}: retention has eaten what no block holds: by policy the sink goes on behind it`, async () => {
    const { topic, table, target, count } = await setup(400)
    const first = start(topic, table, target)
    await until(() => first.metrics.get("recordsOut") === topic.records)
    await first.stop()
    fill(topic, 200)
    const { offset } = topic.committed.get(0)!
    const due = topic.partitions[0]!.filter(record => record.offset >= offset).length
    topic.deleteBefore(0, offset + 3)
    expect((await failureOf(start(topic, table, target).ended)).message).toContain("offsets.lost")
    const kept = 600 - (due - topic.partitions[0]!.length)
    const earliest = start(topic, table, target, { lost: "earliest" })
    await until(async () => (await count()).rows >= kept)
    await earliest.stop()
    expect(await count()).toEqual(exactly(kept))
    expect(earliest.metrics.get("lostOffsets")).toBe(3)

    fill(topic, 40)
    const lost = topic.partitions[0]!.filter(record => record.offset >= topic.committed.get(0)!.offset).length
    topic.deleteBefore(0, topic.committed.get(0)!.offset + 1)
    const latest = start(topic, table, target, { lost: "latest" })
    await until(async () => (await count()).rows >= kept + 40 - lost)
    await latest.stop()
    expect(await count()).toEqual(exactly(kept + 40 - lost))
    // The group was told: what comes from now on is not left behind as well.
    expect(topic.committed.get(0)!.offset).toBe(topic.end(0))
  })

  test(`${name}: compaction has eaten a record within an open plan`, async () => {
    const { topic, table, target } = await setup(400)
    await start(topic, table, dying(target, "after plan", 1)).ended
    const { first } = parsePlan(topic.committed.get(0)!.metadata)!.ranges[0]!
    const victim = topic.partitions[0]!.findIndex(record => record.offset > first)
    topic.partitions[0]!.splice(victim, 1)
    expect((await failureOf(start(topic, table, target).ended))._tag).toBe("Eaten")
  })

  test(`${name}: a group that was reset contradicts the ledger`, async () => {
    const { topic, table, target } = await setup(200)
    const sink = start(topic, table, target)
    await until(() => sink.metrics.get("recordsOut") === topic.records)
    await sink.stop()
    topic.committed.clear()
    expect((await failureOf(start(topic, table, target).ended))._tag).toBe("Diverged")
  })

  test(`${name}: a coordinator that goes back to older offsets is asked again, and nothing is doubled`, async () => {
    const { topic, table, target, count } = await setup(900)
    let older: ReadonlyMap<number, Mark> = new Map()
    topic.onCommit = () => {
      if (older.size === 0) older = new Map(topic.committed)
    }
    const first = start(topic, table, target)
    await until(() => first.metrics.get("recordsOut") === topic.records)
    await first.stop()
    const newest = new Map(topic.committed)
    expect([...older].some(([partition, { offset }]) => offset < newest.get(partition)!.offset)).toBe(true)
    for (const [partition, mark] of older) topic.committed.set(partition, mark)
    fill(topic, 100)
    const second = start(topic, table, target, { doubtMs: 60_000 })
    await until(() => second.metrics.get("phase") === PHASES.indexOf("waiting"))
    expect(await count()).toEqual(exactly(900))
    for (const [partition, mark] of newest) topic.committed.set(partition, mark)
    await until(() => second.metrics.get("recordsOut") === 100)
    await second.stop()
    expect(await count()).toEqual(exactly(1000))
  })

  test(`${name}: a late copy of a commit rewinds the group behind a block that is not in the ledger yet`, async () => {
    const { topic, table, target, count } = await setup(900)
    const commits: (readonly Mark[])[] = []
    topic.onCommit = marks => void commits.push(marks)
    await start(topic, table, dying(target, "after insert", 3)).ended
    const before = await count()
    for (const mark of commits.at(-2)!) topic.committed.set(mark.partition, mark)
    expect((await failureOf(start(topic, table, target).ended))._tag).toBe("Diverged")
    expect(await count()).toEqual(before)
  })

  test(`${name}: a table that refuses the rows stops the sink, naming table and offsets`, async () => {
    const { topic, table, target } = await setup(40)
    const drop = server().command(`DROP TABLE ${server().database}.${table} SYNC`)
    const gone: Target = { ...target, insert: block => Effect.andThen(drop, target.insert(block)) }
    const reason = await failureOf(start(topic, table, gone).ended)
    expect(reason._tag).toBe("Refused")
    expect(reason.message).toContain(table)
    expect(reason.message).toContain(`${topic.name}[0] `)
  })

  test(`${name}: a record that cannot be read stops the sink at its position`, async () => {
    const { topic, table, target } = await setup(40)
    const offset = topic.append(2, Uint8Array.of(1, 2, 3))
    const reason = await failureOf(start(topic, table, target).ended)
    expect(reason).toMatchObject({ _tag: "BadRecord", partition: 2, offset })
  })
}

const frozen = (out: { written(): Uint8Array }) => {
  const bytes = out.written().slice()
  return { written: () => bytes }
}

const failureOf = async (ended: ReturnType<typeof start>["ended"]) => {
  const exit = await ended
  if (Exit.isSuccess(exit)) throw new Error("the sink ended without a failure")
  const found = exit.cause.reasons.find(reason => reason._tag === "Fail")
  if (found?._tag !== "Fail") throw new Error(`no typed failure: ${String(exit.cause)}`)
  return found.error.reason
}
