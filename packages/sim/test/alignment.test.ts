/** Partitions that run ahead of others in event time are not read until these have followed. */
import { expect, test } from "bun:test"
import { Elsewhere, GroupClocks, LogError, type Mark, type TopicPartition } from "@headrace/engine"
import { Effect, Fiber } from "effect"
import { explain, Pipeline, Sink, Source, toPlan } from "headrace"
import { EventSchema, SOURCE } from "../src/pipelines.ts"
import { alignedIn, Bench } from "./bench.ts"

const IDLE_MS = 100
const TRANSACTION = ["produce", "flush", "sendOffsets", "commit"] as const
const event = (id: number, at: number) => ({ id, account: "a", cents: 1, at })
const plan = toPlan(
  Pipeline.make("sim")
    .from(
      Source.kafka(SOURCE, EventSchema, {
        eventTime: one => one.at,
        idleTimeout: IDLE_MS,
        alignment: { maxDrift: "1 second" }
      })
    )
    .to(Sink.kafka("copies", EventSchema))
)

/** A lane that runs with two partitions. */
const two = (clocks?: SharedArrayBuffer): Bench => {
  const bench = new Bench(plan, undefined, clocks).run()
  bench.assign(1)
  bench.settle(["take", "restore", "seek"])
  return bench
}

/** Answers polls with nothing until those without records are idle. */
const silence = (bench: Bench): void => {
  bench.feed([])
  bench.now += IDLE_MS + 1
  bench.feed([])
}

const heldBack = (bench: Bench): number => bench.metrics.get("heldBack")

test("one that is ahead by more than the drift is paused, and goes on where it stood once the other has followed", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  expect(bench.waits("pause")).toBe(true)
  bench.settle(["pause", ...TRANSACTION])
  bench.feed([event(2, 8_999)], 1)
  expect(heldBack(bench)).toBe(1)
  expect(bench.waits("seek")).toBe(false)
  bench.feed([event(3, 9_000)], 1)
  expect(heldBack(bench)).toBe(0)
  expect(bench.waiting("seek").positions).toEqual([{ topic: SOURCE, partition: 0, offset: 1 }])
})

test("nothing is asked for while the pause is under way, and records that a poll still brings are processed", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.feed([event(2, 10_500)])
  bench.feed([event(3, 10_400)], 1)
  expect(bench.waits("seek")).toBe(false)
  bench.answer("pause")
  bench.feed([])
  expect(bench.waiting("seek").positions).toEqual([{ topic: SOURCE, partition: 0, offset: 2 }])
})

test("one without records is not waited for after its idle time-out; one that is paused is not idle", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  silence(bench)
  expect(bench.waiting("seek").positions).toEqual([{ topic: SOURCE, partition: 0, offset: 1 }])
  bench.settle(["seek"])
  // The other one is back, and behind: what they had come to does not go on without it.
  bench.feed([event(2, 12_000)])
  bench.feed([event(3, 10_000)], 1)
  expect(bench.waits("pause")).toBe(false)
  bench.feed([event(4, 13_001)])
  expect(bench.waiting("pause").tasks.map(task => task.partition)).toEqual([0])
  bench.settle(["pause"])
  silence(bench)
  bench.settle(["seek"])
  // The one that was paused held its own clock meanwhile: the other is now ahead of it.
  bench.feed([event(5, 15_000)], 1)
  expect(bench.waiting("pause").tasks.map(task => task.partition)).toEqual([1])
})

test("a partition that is paused is given back as any other, and nobody waits for it any more", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  bench.change("revoke", [0])
  bench.settle([...TRANSACTION, "unassign"])
  bench.feed([event(2, 20_000)], 1)
  expect(bench.waits("pause")).toBe(false)
  expect(heldBack(bench)).toBe(0)
})

test("after a failure state comes back to what is paused, too, and it is read again", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  bench.feed([event(2, 8_000)], 1)
  bench.now += 60
  bench.answer("poll")
  bench.settle(["produce", "flush", "sendOffsets"])
  bench.fail("commit", "Unknown")
  bench.answer("poll")
  // Of the two only one is read.
  expect(bench.waiting("pause").tasks.map(task => task.partition)).toEqual([1])
  bench.settle(["pause", "initialise", "restore"])
  const read = bench.under.flatMap(command => (command.type === "seek" ? command.positions : []))
  expect(read.map(one => one.partition).toSorted()).toEqual([0, 1])
})

test("where a job comes to rest, event time ends in what is paused, too", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  bench.step({ type: "halt", halt: { number: 1, drain: true } })
  bench.now += 60
  bench.answer("poll")
  bench.settle(["pause", ...TRANSACTION])
  expect(bench.halted).toBe(2)
  bench.step({ type: "stop" })
  bench.settle(["poll", "close"])
  expect(bench.asked.at(-1)).toBe("close")
})

test("lanes of a process wait for each other, but not for one that has fallen silent", () => {
  const clocks = GroupClocks.bufferOf(alignedIn(plan), 2)
  const other = new GroupClocks(alignedIn(plan), 1, clocks)
  const bench = new Bench(plan, undefined, clocks).run()
  other.say(0, 5_000, bench.wallClock)
  bench.feed([event(1, 10_000)])
  bench.settle(["pause", ...TRANSACTION])
  expect(heldBack(bench)).toBe(1)
  bench.wallClock += 4_999
  bench.feed([])
  expect(heldBack(bench)).toBe(1)
  other.say(0, 9_000, bench.wallClock)
  bench.feed([])
  expect(bench.waits("seek")).toBe(true)
  bench.settle(["seek"])
  bench.feed([event(2, 20_000)])
  bench.settle(["pause", ...TRANSACTION])
  bench.wallClock += 5_001
  bench.feed([])
  expect(bench.waits("seek")).toBe(true)
})

/** A lane that has partition 0, and what stands beside the offsets of the two that others have. */
class Apart {
  readonly clocks = GroupClocks.bufferOf(alignedIn(plan), 1)
  readonly bench: Bench
  readonly elsewhere: Elsewhere
  /** What was asked for at the last look. */
  asked: readonly number[] = []
  /** Of which the end of the log was asked for since it was last looked at here. */
  endsAsked: number[] = []
  /** How many records are left in the log of each, if that can be found out. */
  left: number | undefined = 1
  private readonly marks = new Map<number, Mark>()
  private offset = 0

  constructor() {
    this.bench = new Bench(plan, undefined, this.clocks)
    const { clocks, latest: marks, ends } = this
    const options = { partitions: alignedIn(plan), clocks, marks, ends, held: () => this.held }
    this.elsewhere = new Elsewhere(options, this.bench.wallClock)
    this.bench.run()
  }

  readonly latest = (partitions: readonly TopicPartition[]) =>
    Effect.sync(() => {
      this.asked = partitions.map(({ partition }) => partition)
      return this.asked.map(partition => this.marks.get(partition))
    })

  readonly ends = (partitions: readonly TopicPartition[]) =>
    Effect.suspend(() => {
      const { left, marks, bench } = this
      this.endsAsked.push(...partitions.map(({ partition }) => partition))
      const position = (partition: number) => marks.get(partition)?.offset ?? bench.positions.get(partition) ?? 0
      return left === undefined
        ? Effect.fail(new LogError("Retry", "the leader is away"))
        : Effect.succeed(partitions.map(({ partition }) => position(partition) + left))
    })

  /** Its process commits that it has come to this. */
  commit(partition: number, metadata: string): void {
    this.marks.set(partition, { topic: SOURCE, partition, offset: ++this.offset, metadata })
  }

  look(): void {
    Effect.runSync(this.elsewhere.look(this.bench.now, this.bench.wallClock))
  }

  /** Time goes by in which the lane finds nothing to read. */
  pass(ms: number): void {
    this.bench.now += ms
    this.bench.wallClock += ms
    this.look()
    this.bench.feed([])
  }

  /** The lane reads a record of its partition, and does what follows. */
  read(id: number, at: number): void {
    this.bench.feed([event(id, at)])
    this.bench.settle(["pause", ...TRANSACTION])
  }

  get held(): boolean {
    return heldBack(this.bench) === 1
  }
}

const SILENT_MS = 5_001

test("what a partition has come to stands beside its committed offset", () => {
  const bench = new Bench(plan).run()
  bench.feed([event(1, 10_000)])
  bench.now += 60
  bench.feed([])
  bench.settle(["produce", "flush"])
  expect(bench.waiting("sendOffsets").offsets).toEqual([
    { topic: SOURCE, partition: 0, offset: 1, metadata: "watermark=9999 read=1" }
  ])
})

test("a partition of another process is waited for, by what stands beside its offset, and not once it has followed", () => {
  const apart = new Apart()
  apart.commit(1, "watermark=5000")
  apart.commit(2, "watermark=50000")
  apart.look()
  apart.read(1, 10_000)
  expect(apart.held).toBe(true)
  apart.commit(1, "watermark=8998")
  apart.pass(100)
  expect(apart.held).toBe(true)
  apart.commit(1, "watermark=8999")
  apart.pass(100)
  expect(apart.held).toBe(false)
  expect(apart.bench.waiting("seek").positions).toEqual([{ topic: SOURCE, partition: 0, offset: 1 }])
  // Its own it knows better.
  expect(apart.asked).toEqual([1, 2])
})

test("beside an offset stands to where records have been read: what it has passed besides is none", () => {
  const bench = new Bench(plan).run()
  const committed = () => {
    bench.now += 60
    bench.feed([])
    bench.settle(["produce", "flush"])
    const [place] = bench.waiting("sendOffsets").offsets
    bench.settle(["sendOffsets", "commit"])
    return place
  }
  const passed = (offset: number, end: number) =>
    bench.step({ type: "passed", position: { topic: SOURCE, partition: 0, offset }, end })
  bench.feed([event(1, 10_000)])
  expect(committed()).toMatchObject({ offset: 1, metadata: "watermark=9999 read=1" })
  passed(1, 3)
  expect(committed()).toMatchObject({ offset: 3, metadata: "watermark=9999 read=1" })
  passed(3, 5)
  bench.feed([event(2, 9_000)])
  expect(committed()?.metadata).toBe("watermark=9999 read=2")
})

test("transactions that are aborted in a partition are nothing to wait for", () => {
  const bench = two()
  bench.feed([event(1, 10_000)])
  bench.feed([event(2, 5_000)], 1)
  bench.settle(["pause", ...TRANSACTION])
  for (let offset = 1; offset < 6; offset++) {
    expect(heldBack(bench)).toBe(1)
    bench.step({ type: "passed", position: { topic: SOURCE, partition: 1, offset }, end: offset + 1 })
    bench.now += IDLE_MS / 2
    bench.feed([])
  }
  expect(heldBack(bench)).toBe(0)
})

test("nor are those that are aborted in one of another process", () => {
  const apart = new Apart()
  apart.commit(1, "watermark=5000 read=1")
  apart.commit(2, "watermark=50000")
  apart.look()
  apart.read(1, 10_000)
  for (let i = 0; i < 6; i++) {
    expect(apart.held).toBe(true)
    apart.commit(1, "watermark=5000 read=1")
    apart.pass(1_000)
  }
  apart.pass(1_000)
  expect(apart.held).toBe(false)
  apart.bench.settle(["seek"])
  // A record, though its time is none that was not known, and what was committed last has passed something besides.
  apart.commit(1, "watermark=5000 read=2")
  apart.commit(1, "watermark=5000 read=2")
  apart.pass(100)
  expect(apart.held).toBe(true)
})

test("before the first look nothing is known of others, and they are waited for; but not for ever", () => {
  const apart = new Apart()
  apart.read(1, 10_000)
  expect(apart.held).toBe(true)
  apart.bench.wallClock += SILENT_MS
  apart.bench.feed([])
  expect(apart.held).toBe(false)
})

test("a partition that has never been committed is waited for until it would have had the time", () => {
  const apart = new Apart()
  apart.commit(2, "watermark=50000")
  apart.look()
  apart.read(1, 10_000)
  expect(apart.held).toBe(true)
  apart.pass(SILENT_MS)
  expect(apart.held).toBe(false)
})

test("one of another process that does not move is not waited for, until it moves again", () => {
  const apart = new Apart()
  apart.commit(1, "watermark=5000")
  apart.commit(2, "watermark=50000")
  apart.look()
  apart.read(1, 10_000)
  for (let i = 0; i < 6; i++) {
    apart.commit(1, `watermark=${5_000 + i}`)
    apart.pass(1_000)
  }
  expect(apart.held).toBe(true)
  apart.pass(1_000)
  apart.pass(SILENT_MS)
  expect(apart.held).toBe(false)
  apart.bench.settle(["seek"])
  apart.commit(1, "watermark=5006")
  apart.pass(100)
  expect(apart.held).toBe(true)
})

test("one that is held back elsewhere does not move either, and is waited for once it is the one behind", () => {
  const apart = new Apart()
  apart.commit(1, "watermark=5000")
  apart.commit(2, "watermark=7000")
  apart.look()
  apart.read(1, 10_000)
  for (let i = 0; i < 6; i++) {
    apart.commit(1, `watermark=${5_000 + i}`)
    apart.pass(1_000)
  }
  apart.pass(1_000)
  apart.pass(SILENT_MS)
  // The first one is silent now, and the second has its time to go on.
  expect(apart.held).toBe(true)
  apart.commit(2, "watermark=8999")
  apart.pass(100)
  expect(apart.held).toBe(false)
})

test("one that is held back elsewhere and has nothing more to read is silent with the others", () => {
  const apart = new Apart()
  apart.left = 0
  apart.commit(1, "watermark=5000")
  apart.commit(2, "watermark=7000")
  apart.look()
  apart.read(1, 10_000)
  apart.pass(SILENT_MS)
  expect(apart.held).toBe(false)
})

test("where logs end is asked of what is held back, and of nothing that has more to read until that is read", () => {
  const apart = new Apart()
  const asked = (ms: number) => {
    apart.pass(ms)
    return apart.endsAsked.splice(0)
  }
  apart.commit(1, "watermark=5000")
  apart.commit(2, "watermark=50000")
  apart.look()
  // What they are to be compared with is not known before.
  expect(apart.endsAsked.splice(0)).toEqual([1, 2])
  apart.read(1, 10_000)
  expect(asked(100)).toEqual([0])
  expect(asked(100)).toEqual([])
  apart.commit(2, "watermark=50001")
  expect(asked(100)).toEqual([2])
  // Nor is it forgotten that there is more.
  expect(asked(SILENT_MS - 300)).toEqual([])
  expect(apart.held).toBe(true)
  apart.commit(1, "watermark=9000")
  apart.pass(100)
  expect(apart.held).toBe(false)
})

test("what has nothing more to read is asked again each time: something may come", () => {
  const apart = new Apart()
  apart.left = 0
  apart.commit(1, "watermark=5000")
  apart.commit(2, "watermark=5000")
  apart.look()
  apart.endsAsked = []
  apart.read(1, 10_000)
  for (let i = 0; i < 3; i++) apart.pass(100)
  expect(apart.endsAsked).toEqual([0, 0, 0])
})

test.each([
  ["as silent as one that is not, where its log is known to end there", 1, Number.POSITIVE_INFINITY],
  ["waited for where it has more to read", 2, 9_999],
  ["waited for where that is not known", undefined, 9_999]
])("one that is held back is %s", (_, end, said) => {
  const clocks = GroupClocks.bufferOf(alignedIn(plan), 2)
  const [other, looks] = [new GroupClocks(alignedIn(plan), 1, clocks), new GroupClocks(alignedIn(plan), -1, clocks)]
  looks.tell(2, Number.POSITIVE_INFINITY)
  const bench = two(clocks)
  bench.feed([event(1, 10_000)])
  bench.feed([event(2, 5_000)], 1)
  bench.settle(["pause", ...TRANSACTION])
  expect(heldBack(bench)).toBe(1)
  looks.tellEnd(0, end)
  looks.told(bench.wallClock)
  bench.feed([])
  silence(bench)
  expect(bench.waits("seek")).toBe(true)
  expect(other.others(0, bench.wallClock)).toBe(said)
})

test("whoever commits a partition and says nothing beside it is of an older version, and is not waited for", () => {
  const apart = new Apart()
  apart.commit(1, "")
  apart.commit(2, "watermark=50000")
  apart.look()
  apart.read(1, 10_000)
  // It may have stood there before all was of this version.
  expect(apart.held).toBe(true)
  apart.commit(1, "")
  apart.pass(100)
  expect(apart.held).toBe(false)
})

test("a partition that goes to another process is waited for meanwhile, from where it stood", () => {
  const apart = new Apart()
  for (const partition of [1, 2]) apart.commit(partition, "watermark=50000")
  apart.look()
  const { bench } = apart
  bench.assign(1)
  bench.settle(["take", "restore", "seek"])
  bench.feed([event(1, 5_000)], 1)
  bench.settle(["pause"])
  apart.read(2, 10_000)
  bench.settle(["seek"])
  expect(apart.held).toBe(true)
  bench.change("revoke", [1])
  bench.settle([...TRANSACTION, "unassign"])
  bench.feed([])
  expect(apart.held).toBe(true)
  apart.commit(1, "watermark=4999")
  apart.pass(100)
  expect(apart.held).toBe(true)
  apart.commit(1, "watermark=9000")
  apart.pass(100)
  expect(apart.held).toBe(false)
})

test("where others cannot be looked at it is said once, counted, and nobody waits for them for long", () => {
  const apart = new Apart()
  apart.commit(1, "watermark=5000")
  apart.look()
  apart.read(1, 10_000)
  expect(apart.held).toBe(true)
  const fails = () => Effect.fail(new LogError("Retry", "the coordinator is away"))
  const { clocks, bench, ends } = apart
  const options = { partitions: alignedIn(plan), clocks, marks: fails, ends, held: () => false }
  const blind = new Elsewhere(options, bench.wallClock)
  const looks = Effect.runFork(blind.run)
  expect(blind.failed).toBe(1)
  expect(blind.warning).toContain("the coordinator is away")
  Effect.runFork(Fiber.interrupt(looks))
  bench.wallClock += SILENT_MS
  bench.feed([])
  expect(apart.held).toBe(false)
})

test("one that comes when all others are idle, and is behind what they had come to, is waited for", () => {
  const clocks = GroupClocks.bufferOf(alignedIn(plan), 2)
  const bench = new Bench(plan, undefined, clocks).run()
  const other = new GroupClocks(alignedIn(plan), 1, clocks)
  bench.feed([event(1, 10_000)])
  bench.settle(TRANSACTION)
  for (let i = 0; i < 2; i++) {
    bench.now += SILENT_MS
    bench.feed([])
  }
  const said = () => other.others(0, bench.wallClock)
  expect(said()).toBe(Number.POSITIVE_INFINITY)
  bench.assign(1)
  bench.settle(["take", "restore", "seek"])
  bench.feed([event(2, 5_000)], 1)
  bench.settle(TRANSACTION)
  // What they had come to: it does not go on without the new one.
  expect(said()).toBe(9_999)
  bench.feed([event(3, 11_001)])
  expect(heldBack(bench)).toBe(1)
})

test("explain says which sources wait for each other", () => {
  expect(explain(plan)).toContain("at most 1s ahead of others in the alignment group default")
})

test("how far a lane's partitions are apart is in its metrics", () => {
  const bench = two()
  const apart = () => [bench.metrics.get("watermarkBehind"), bench.metrics.get("watermarkAhead")]
  const commit = () => {
    bench.now += 10_000
    bench.feed([])
    bench.settle(TRANSACTION)
  }
  expect(apart()).toEqual([Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
  bench.feed([event(1, 5_000)])
  commit()
  expect(apart()).toEqual([4_999, 4_999])
  bench.feed([event(2, 5_700)], 1)
  commit()
  expect(apart()).toEqual([4_999, 5_699])
})
