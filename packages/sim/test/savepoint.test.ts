/** What a savepoint cannot be restored of is told, and what the job has stays, whatever it was told to throw away. */
import { describe, expect, test } from "bun:test"
import { changelogName, createSavepoint, Outputs, restoreSavepoint, SavepointError } from "@headrace/engine"
import { Schema } from "effect"
import { Pipeline, Sink, Source, State, toPlan } from "headrace"
import { makeTask } from "../src/engine.ts"
import { Partition } from "../src/log.ts"
import { chainParts } from "../src/parts.ts"
import { EventSchema, SOURCE } from "../src/pipelines.ts"
import { Random } from "../src/random.ts"
import { APP } from "../src/world.ts"
import { batchOf } from "./bench.ts"
import { Recovery } from "./recovery.ts"

const Before = Schema.Struct({ cents: Schema.Int })
const After = Schema.Struct({ euros: Schema.Int })

/** Keeps of each account the newest amount. */
const plan = <S extends Schema.Codec<object, unknown>>(
  schema: S,
  seen: (cents: number) => S["Type"],
  migrations: Parameters<typeof State.value<S["Type"]>>[1] = {}
) =>
  toPlan(
    Pipeline.make("sim")
      .from(Source.kafka(SOURCE, EventSchema, { eventTime: one => one.at, key: "account" }))
      .keyBy(one => one.account)
      .process("seen", {
        emits: EventSchema,
        state: { last: State.value<S["Type"]>(schema, migrations) },
        onRecord: (event, { state }) => state.last.set(seen(event.cents))
      })
      .to(Sink.kafka("seen", EventSchema))
  )
const before = plan(Before, cents => ({ cents }))

const EVENTS = [..."abcdefgh"].map((account, id) => ({ id, account, cents: 7, at: 1_000 + id }))

const SAVEPOINT = { digest: "", headrace: "", createdAt: "", drained: false }
const PART = EVENTS.length / 2

const CHANGELOG = changelogName(APP, SOURCE)

/** A job that has state in the first of its partitions, a checkpoint of it, and two savepoints. */
const saved = (partitions = 1, kept = before): Recovery => {
  const recovery = new Recovery()
  const { world } = recovery
  for (const topic of [SOURCE, CHANGELOG]) world.log.create(topic, partitions)
  for (const _ of EVENTS) world.log.at(recovery.input).append({ key: undefined, value: new Uint8Array(), timestamp: 0 })
  const task = makeTask(
    chainParts(kept, world, recovery, () => {}),
    recovery.input,
    () => new Outputs()
  )
  task.start({ offset: 0, committed: 0 })
  for (const [i, id] of ["earlier", "kept"].entries()) {
    const part = EVENTS.slice(i * PART, (i + 1) * PART)
    task.process(batchOf(part, i * PART), 0, PART)
    recovery.commitOf(task, (i + 1) * PART)
    recovery.checkpoint()
    expect(recovery.save(createSavepoint(kept, world.job("i"), { ...SAVEPOINT, id }))).toMatchObject({ id })
  }
  return recovery
}

const FILE = `savepoints/kept/${SOURCE}/0.checkpoint`

/** What it says; nothing of the job is another than before. */
const refused = (recovery: Recovery, restored = before): string => {
  const { world } = recovery
  const state = () => ({
    files: new Map(world.disk.files),
    topics: [...world.log.topics].map(([name, partitions]) => [name, partitions.map(one => one.entries.length)])
  })
  const was = state()
  const options = { id: "kept", allowNonRestored: false, force: true, renamed: new Map(), fromEarliest: false }
  const error = recovery.save(restoreSavepoint(restored, world.job("i"), options))
  if (!(error instanceof SavepointError)) throw new Error(`No SavepointError: ${error}`)
  expect(state()).toEqual(was)
  return error.message
}

describe("a restore that throws away what there is looks first whether it can be done", () => {
  test("a migration that throws", () => {
    const migration = State.migration(Before, ({ cents }) => {
      if (cents > 0) throw new Error("no rate")
      return { euros: cents }
    })
    const after = plan(After, euros => ({ euros }), { migrations: [migration] })
    expect(refused(saved(), after)).toMatch(
      /savepoint kept has of \S+\/0 .*State last of "seen" of the key a cannot be migrated: no rate\. Correct .*migration/
    )
  })

  test("a file that is damaged", () => {
    const recovery = saved()
    recovery.replace(FILE, bytes => bytes.with(bytes.length - 40, bytes.at(-40)! ^ 1))
    expect(refused(recovery)).toMatch(/kept is not whole: .*damaged.*headrace savepoint delete kept/)
  })

  test("a file that is missing", () => {
    const recovery = saved()
    recovery.world.disk.remove(FILE)
    expect(refused(recovery)).toMatch(/kept is not whole: .*0\.checkpoint is missing/)
  })

  test("a file that is another one's", () => {
    const recovery = saved()
    recovery.replace(FILE, () => recovery.world.disk.files.get(FILE.replace("kept", "earlier"))!)
    expect(refused(recovery)).toMatch(/kept is not whole: .*0\.checkpoint is not the file that was written for it/)
  })

  test("keys that Kafka's default partitioner would not put where they are", () => {
    const recovery = saved(2)
    recovery.world.log.topics.get(SOURCE)!.push(new Partition(SOURCE, 2))
    expect(refused(recovery)).toMatch(
      /savepoint kept has of \S+\/0 .*state of the key [a-h] in partition 0 of 2, .* Keep the number of partitions/
    )
  })
})

test("what partitions keep in two schemas is no savepoint, and that is said", () => {
  const recovery = saved(2)
  const { world } = recovery
  const changed = saved(
    1,
    plan(After, euros => ({ euros }))
  )
  const log = { topic: CHANGELOG, partition: 0 }
  world.log.at({ ...log, partition: 1 }).entries.push(...changed.world.log.at(log).entries)
  const error = recovery.save(createSavepoint(before, world.job("i"), { ...SAVEPOINT, id: "mixed" }))
  expect(error).toBeInstanceOf(SavepointError)
  expect((error as SavepointError).message).toMatch(/"seen" in two schemas: run the job until all of them/)
  expect(recovery.checkpoints()).not.toContain("savepoints/mixed.json")
})

test("of two that are taken by two processes at once each is whole, or it is said that it was not taken", () => {
  const counts = { both: 0, one: 0, none: 0 }
  for (let seed = 1; seed <= 500; seed++) {
    const recovery = saved()
    const { world } = recovery
    const random = new Random(seed)
    // Stretches: what takes turns strictly meets at few places.
    let last = 0
    const turn = (of: number): number => (last = random.chance(0.2) ? random.int(0, of - 1) : Math.min(last, of - 1))
    const ids = ["one", "two"]
    const takes = ids.map(id => createSavepoint(before, world.job("i"), { ...SAVEPOINT, id }))
    const results = recovery.saveTogether(takes, turn)
    const taken = results.filter((result, i) => {
      const there = recovery.checkpoints().includes(`savepoints/${ids[i]}.json`)
      if (result instanceof SavepointError) {
        expect(result.message).toContain(`The savepoint ${ids[i]} was not taken: another one of ${APP} was begun`)
        expect(there).toBe(false)
        return false
      }
      expect(there).toBe(true)
      const options = { id: ids[i]!, allowNonRestored: false, force: true, renamed: new Map(), fromEarliest: false }
      expect(recovery.save(restoreSavepoint(before, world.job("i"), options))).toMatchObject({ manifest: result })
      return true
    })
    counts[taken.length === 2 ? "both" : taken.length === 1 ? "one" : "none"]++
    // Nothing is left that the next one does not clear.
    expect(recovery.save(createSavepoint(before, world.job("i"), { ...SAVEPOINT, id: "next" }))).toHaveProperty("id")
    const directories = recovery.checkpoints().map(name => name.split("/")[1]!.replace(".json", ""))
    const kept = new Set(directories.filter((_, i) => recovery.checkpoints()[i]!.startsWith("savepoints/")))
    expect(kept).toEqual(new Set(["earlier", "kept", "next", ...taken.map(one => (one as { id: string }).id)]))
  }
  expect(counts.both).toBeGreaterThan(0)
  expect(counts.one).toBeGreaterThan(0)
})
