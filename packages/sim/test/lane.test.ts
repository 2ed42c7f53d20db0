import { describe, expect, test } from "bun:test"
import { LogError, type Outputs, PHASES } from "@headrace/engine"
import { Effect } from "effect"
import { type Ask, SOURCE } from "../src/pipelines.ts"
import { Bench, NO_MEMORY } from "./bench.ts"

const TRANSACTION = ["produce", "flush", "sendOffsets", "commit"] as const
const event = (id: number, at: number) => ({ id, account: "a", cents: 1, at })

/** An asynchronous step that is answered by hand. */
const held = () => {
  const answers: (() => void)[] = []
  const ask: Ask = (_, result) =>
    Effect.callback<object>(resume => void answers.push(() => resume(Effect.succeed(result()))))
  return { ask, answers }
}

test("a transaction that an asynchronous step keeps open is not begun before it can be sealed", () => {
  const { ask, answers } = held()
  const bench = new Bench("behind", ask).run()
  // The first window fires into the step; what comes for it afterwards is late, which is an output.
  bench.feed([event(1, 100_000), event(2, 110_000)])
  bench.feed([event(3, 100_001)])
  bench.now += 60_000
  bench.answer("poll")
  expect(answers.length).toBe(1)
  expect(bench.metrics.get("late")).toBe(0)
  expect(bench.asked).not.toContain("produce")
  for (const answer of answers) answer()
  bench.world.drain()
  bench.step({ type: "released" })
  bench.settle(TRANSACTION)
  expect(bench.metrics.get("commits")).toBe(1)
  expect(bench.metrics.get("late")).toBe(1)
})

test("a quiet partition goes past the markers behind its last record in a transaction of its own; one that has gone on does not", () => {
  const bench = new Bench("plain").run()
  const commit = () => {
    bench.now += 30
    bench.answer("poll")
    bench.settle(["produce", "flush"])
  }
  bench.feed([event(1, 100_000)])
  commit()
  bench.settle(TRANSACTION)
  const behindIt = { topic: SOURCE, partition: 0, offset: 1 }
  bench.step({ type: "passed", position: behindIt, end: 3 })
  commit()
  expect(bench.waiting("sendOffsets").offsets).toEqual([{ topic: SOURCE, partition: 0, offset: 3 }])
  bench.settle(TRANSACTION)
  // Looked at before that: markers of then say nothing of where it stands now.
  bench.step({ type: "passed", position: behindIt, end: 5 })
  commit()
  expect(bench.metrics.get("commits")).toBe(2)
  expect(bench.waits("sendOffsets")).toBe(false)
})

test("where no step can keep it open, a transaction begins while it fills", () => {
  const bench = new Bench("plain").run()
  bench.feed([event(1, 100_000)])
  expect(bench.waits("produce")).toBe(true)
  expect(bench.waits("flush")).toBe(false)
})

/** A lane without room for state, which has that of a hundred keys; the poll that was under way has come back. */
const overfull = () => {
  const bench = new Bench("process", undefined, undefined, NO_MEMORY).run()
  bench.feed(Array.from({ length: 100 }, (_, i) => ({ ...event(i, 100_000), account: `account-${i}` })))
  bench.answer("poll")
  return bench
}

test("nothing is polled while state is beyond its memory and more of it can leave: that goes slice by slice, beside commits", () => {
  const bench = overfull()
  expect(bench.waits("poll")).toBe(false)
  bench.settle(TRANSACTION)
  expect(bench.metrics.get("commits")).toBe(1)
  expect(bench.waits("poll")).toBe(false)
  let slices = 0
  for (; !bench.waits("poll"); slices++) bench.answer("relieve")
  expect(slices).toBeGreaterThan(2)
  expect(bench.waits("relieve")).toBe(false)
  expect(bench.waiting("poll").maxRecords).toBeGreaterThan(1)
})

test("however long that takes, a poll of one record each second hears what the group wants", () => {
  const bench = overfull()
  bench.settle(TRANSACTION)
  expect(bench.waits("poll")).toBe(false)
  bench.now += 1000
  bench.answer("relieve")
  expect([bench.waits("poll"), bench.waits("relieve")]).toEqual([true, true])
  expect(bench.waiting("poll").maxRecords).toBe(1)
  bench.answer("poll")
  expect([bench.waits("poll"), bench.waits("relieve")]).toEqual([false, true])
})

test("full buffers that leave only once they are sealed are sealed at once: nothing would wake the lane later", () => {
  const bench = new Bench("beside").run()
  bench.feed([{ ...event(1, 100_000), account: "a".repeat(1 << 20) }])
  bench.feed([])
  expect(bench.waits("poll")).toBe(false)
  bench.settle(TRANSACTION)
  expect(bench.metrics.get("commits")).toBe(1)
  expect(bench.waits("poll")).toBe(true)
})

/** A transaction is begun, and `openMs` later its producer finds itself fenced; then the lane recovers. */
const fencedAfter = (bench: Bench, openMs: number): void => {
  bench.feed([event(1, 100_000)])
  bench.now += openMs
  bench.fail("produce", "Fenced")
  if (bench.failure !== undefined) return
  if (bench.waits("poll")) bench.answer("poll")
  bench.settle(["initialise", "pause", "restore", "seek"])
  expect(PHASES[bench.phase]).toBe("running")
}

test("a lane that is fenced three times within a minute stops and names the id that two processes have", () => {
  const bench = new Bench("plain").run()
  fencedAfter(bench, 5)
  fencedAfter(bench, 5)
  expect(bench.failure).toBeUndefined()
  fencedAfter(bench, 5)
  expect(bench.failure?.failure).toBe("Stop")
  expect(bench.failure?.message).toMatch(/sim\.\.i\.\.0-[ab]: two instances of this app run under one name/)
})

test("fences that lie further apart do not count together", () => {
  const bench = new Bench("plain").run()
  for (let i = 0; i < 6; i++) {
    fencedAfter(bench, 5)
    bench.now += 31_000
  }
  expect(bench.failure).toBeUndefined()
})

test("the coordinator's abort of what was open for too long is not another process", () => {
  const bench = new Bench("plain").run()
  for (let i = 0; i < 6; i++) fencedAfter(bench, 10_001)
  expect(bench.failure).toBeUndefined()
})

test("both producers fenced in one incident count once", () => {
  const bench = new Bench("plain").run()
  for (let i = 0; i < 2; i++) {
    bench.feed([event(1, 100_000)])
    bench.answer("produce")
    bench.now += 30
    bench.answer("poll")
    bench.answer("produce")
    bench.answer("flush")
    // One transaction sends its offsets, the next one produces.
    bench.feed([event(2, 100_000)])
    bench.fail("sendOffsets", "Fenced")
    bench.fail("produce", "Fenced")
    if (bench.waits("poll")) bench.answer("poll")
    bench.settle(["initialise", "pause", "restore", "seek"])
  }
  expect(bench.failure).toBeUndefined()
  expect(PHASES[bench.phase]).toBe("running")
})

test("while partitions that came later are restored, the others are read, processed and committed", () => {
  const bench = new Bench("plain").run()
  bench.feed([event(1, 100_000)])
  bench.assign(1)
  bench.feed([event(2, 100_000)])
  expect(bench.metrics.get("recordsIn")).toBe(2)
  bench.now += 30
  bench.answer("poll")
  bench.settle(TRANSACTION)
  expect(bench.waits("restore")).toBe(true)
  expect(bench.metrics.get("commits")).toBe(1)
  expect(PHASES[bench.phase]).toBe("restoring")
  bench.settle(["take", "restore", "seek"])
  expect(PHASES[bench.phase]).toBe("running")
  expect(bench.metrics.get("partitions")).toBe(2)
})

test("a partition runs only when the client holds it and its state is back", () => {
  for (const [first, second] of [
    ["take", "restore"],
    ["restore", "take"]
  ] as const) {
    const bench = new Bench("plain").run()
    bench.assign(1)
    bench.answer(first)
    expect(bench.waits("seek")).toBe(false)
    bench.answer(second)
    expect(bench.waiting("seek").positions).toMatchObject([{ partition: 1 }])
  }
})

test("while the producers get their sessions the group gives partitions and state comes back, and nothing runs", () => {
  const bench = new Bench("plain")
  bench.step({ type: "start" })
  bench.assign(0)
  bench.settle(["take", "restore"])
  bench.answer("initialise")
  expect(bench.asked).not.toContain("seek")
  bench.answer("initialise")
  bench.settle(["seek"])
  expect(PHASES[bench.phase]).toBe("running")
})

test("a partition that is revoked while the producers get their sessions goes at once", () => {
  const bench = new Bench("plain")
  bench.step({ type: "start" })
  bench.assign(0)
  bench.change("revoke", [0])
  bench.settle(["take"])
  expect(bench.waits("unassign")).toBe(true)
  expect(bench.waits("initialise")).toBe(true)
})

test("a revoked partition is given back when both transactions are committed, and nothing is read before", () => {
  const bench = new Bench("plain").run()
  bench.assign(1)
  bench.settle(["take", "restore", "seek"])
  bench.feed([event(1, 100_000)])
  bench.now += 30
  bench.answer("poll")
  bench.feed([event(2, 100_000)])
  bench.change("revoke", [0])
  while (!bench.waits("unassign")) {
    expect(bench.waits("poll")).toBe(false)
    bench.answer(TRANSACTION.find(step => bench.waits(step)) ?? "unassign")
  }
  expect(bench.metrics.get("commits")).toBe(2)
  expect(bench.waiting("unassign").partitions).toMatchObject([{ partition: 0 }])
  bench.answer("unassign")
  expect(bench.waits("poll")).toBe(true)
  expect(bench.metrics.get("partitions")).toBe(1)
})

test("the state of a partition that was given back is not reported any more, though nothing is sealed after it", () => {
  const bench = new Bench("plain").run()
  bench.feed([event(1, 100_000)])
  bench.now += 30
  bench.answer("poll")
  bench.settle(TRANSACTION)
  const shown = () => [bench.metrics.states.read().length > 0, Number.isFinite(bench.metrics.get("watermark"))]
  expect(shown()).toEqual([true, true])
  bench.change("revoke", [0])
  bench.settle(["unassign"])
  expect(shown()).toEqual([false, false])
  expect(bench.metrics.get("stateBytes")).toBe(0)
})

test("a partition that is revoked while it is restored goes at once, and a failure of that restore is none of the lane", () => {
  const bench = new Bench("plain").run()
  bench.feed([event(1, 100_000)])
  bench.assign(1)
  bench.answer("take")
  bench.change("revoke", [1])
  expect(bench.waiting("abandon").tasks).toMatchObject([{ partition: 1 }])
  bench.answer("unassign")
  expect(bench.metrics.get("commits")).toBe(0)
  bench.fail("restore", "Stop")
  expect(bench.failure).toBeUndefined()
  expect(bench.waits("poll")).toBe(true)
})

const HALT = { type: "halt", halt: { number: 1, drain: true } } as const

test("a partition that the group takes back in the middle of its restore, as the job comes to rest, goes at once; nobody leaves before all are at rest", () => {
  const bench = new Bench("plain").run()
  bench.assign(1)
  bench.answer("take")
  bench.change("revoke", [1])
  bench.step(HALT)
  bench.settle(["unassign"])
  bench.now += 30
  bench.answer("poll")
  bench.settle(["pause", ...TRANSACTION])
  // Its own is at rest, and whoever has got the other one may still leave: then it comes back.
  expect(bench.halted).toBe(1)
  expect(bench.waits("close")).toBe(false)
  bench.assign(1)
  bench.settle(["take", "restore", "seek", "pause"])
  bench.now += 30
  bench.answer("poll")
  bench.settle(["pause", ...TRANSACTION])
  expect(bench.halted).toBe(2)
  // Nothing is read of them, until the job goes on, from where they were left, or ends.
  expect(bench.asked.filter(type => type === "pause")).toHaveLength(2)
  bench.step({ type: "stop" })
  bench.settle(["pause", "poll", "close"])
  expect(bench.asked.at(-1)).toBe("close")
})

test("where a job comes to rest, what comes from outside is left for whoever goes on, and what a step holds is waited for", () => {
  const { ask, answers } = held()
  const bench = new Bench("prefix", ask).run()
  bench.feed([event(1, 100_000)])
  bench.step({ type: "halt", halt: { number: 1, drain: false } })
  bench.feed([event(2, 100_000)])
  expect(answers.length).toBe(1)
  bench.now += 30
  bench.answer("poll")
  expect(bench.halted).toBe(0)
  answers[0]!()
  bench.world.drain()
  bench.step({ type: "released" })
  bench.now += 30
  bench.answer("poll")
  bench.settle(["pause", ...TRANSACTION])
  expect(bench.halted).toBe(1)
  expect(bench.waits("close")).toBe(false)
})

test("a job that was at rest goes on where it was, with what was left", () => {
  const bench = new Bench("plain").run()
  bench.feed([event(1, 100_000)])
  bench.step({ type: "halt", halt: { number: 1, drain: false } })
  // A poll that had been under way brings more: it is dropped, and comes again.
  bench.feed([event(2, 100_001)])
  bench.now += 30
  bench.answer("poll")
  bench.settle(["pause", ...TRANSACTION])
  expect(bench.halted).toBe(1)
  bench.step({ type: "resume" })
  expect(bench.waits("seek")).toBe(false)
  bench.answer("poll")
  expect(bench.waiting("seek").positions).toMatchObject([{ partition: 0, offset: 1 }])
  bench.settle(["seek"])
  expect(bench.halted).toBe(0)
  expect(PHASES[bench.phase]).toBe("running")
  // It may come to rest again.
  bench.step({ type: "halt", halt: { number: 2, drain: false } })
  bench.settle(["pause"])
  expect(bench.halted).toBe(1)
})

test("lost partitions take their open transaction with them; what stays is rebuilt", () => {
  const bench = new Bench("plain").run()
  bench.assign(1)
  bench.settle(["take", "restore", "seek"])
  bench.feed([event(1, 100_000)])
  bench.answer("produce")
  bench.change("lost", [0])
  expect(bench.waits("unassign")).toBe(false)
  bench.settle(["initialise", "pause"])
  expect(bench.waiting("unassign").partitions).toMatchObject([{ partition: 0 }])
  bench.settle(["unassign", "restore", "seek", ...TRANSACTION])
  expect(bench.metrics.get("commits")).toBe(0)
  expect(bench.metrics.get("partitions")).toBe(1)
  expect(PHASES[bench.phase]).toBe("running")
})

// ── rule 6: what was certainly not committed is sent once more ───────────────────────────────────────────────────────

/** What the waiting command hands to a producer: its records' topics and bytes. */
const bytesOf = ({ outputs }: { readonly outputs: Outputs }) => ({
  index: [...outputs.index.subarray(0, outputs.count * 8)],
  data: outputs.data.written().slice()
})

/** Sends a transaction, as far as its offsets, and the beginning of the next one. */
const twoUnderWay = (bench: Bench) => {
  bench.feed([event(1, 100_000)])
  const first = [bytesOf(bench.waiting("produce"))]
  bench.answer("produce")
  bench.now += 30
  bench.answer("poll")
  first.push(bytesOf(bench.waiting("produce")))
  bench.settle(["produce", "flush"])
  bench.feed([event(2, 100_000)])
  const second = bytesOf(bench.waiting("produce"))
  bench.answer("produce")
  return { first, second, offsets: bench.waiting("sendOffsets").offsets }
}

test("a transaction that the group refuses is sent once more, and the next one after it; no state is restored", () => {
  const bench = new Bench("plain").run()
  const { first, second, offsets } = twoUnderWay(bench)
  bench.fail("sendOffsets", "Abort")
  bench.answer("poll")
  expect(bench.waits("produce")).toBe(false)
  bench.settle(["initialise"])
  for (const bytes of first) {
    expect(bench.waiting("produce")).toMatchObject({ turn: 0, begin: bytes === first[0] })
    expect(bytesOf(bench.waiting("produce"))).toEqual(bytes)
    bench.answer("produce")
  }
  expect(bench.waits("produce")).toBe(false)
  bench.answer("flush")
  expect(bench.waiting("sendOffsets").offsets).toEqual(offsets)
  expect(bench.waiting("produce")).toMatchObject({ turn: 1, begin: true })
  expect(bytesOf(bench.waiting("produce"))).toEqual(second)
  bench.now += 30
  bench.settle(TRANSACTION)
  bench.answer("poll")
  bench.settle(TRANSACTION)
  expect(bench.metrics.get("commits")).toBe(2)
  expect(bench.metrics.get("repeats")).toBe(1)
  expect(bench.metrics.get("restores")).toBe(0)
})

test("what the group gives as it refuses a transaction comes back while that is sent once more", () => {
  const bench = new Bench("plain").run()
  twoUnderWay(bench)
  bench.fail("sendOffsets", "Abort")
  bench.assign(1)
  expect(bench.waits("restore")).toBe(true)
  bench.settle(["take", "restore"])
  expect(bench.waits("initialise")).toBe(true)
  expect(bench.waits("seek")).toBe(false)
  bench.settle(["initialise"])
  expect(bench.waits("seek")).toBe(true)
  expect(bench.metrics.get("restores")).toBe(0)
})

test("what the group gives while a commit may have happened waits for the new sessions", () => {
  const bench = new Bench("plain").run()
  twoUnderWay(bench)
  bench.answer("sendOffsets")
  bench.fail("commit", "Unknown")
  bench.assign(1)
  bench.settle(["take", "pause"])
  expect(bench.waits("restore")).toBe(false)
  bench.settle(["initialise"])
  expect(bench.waits("restore")).toBe(true)
})

test("a commit that failed may have happened: nothing is sent once more", () => {
  const bench = new Bench("plain").run()
  twoUnderWay(bench)
  bench.answer("sendOffsets")
  bench.fail("commit", "Unknown")
  bench.answer("poll")
  bench.settle(["initialise", "pause"])
  expect(bench.waits("restore")).toBe(true)
  expect(bench.waits("produce")).toBe(false)
  expect(bench.metrics.get("repeats")).toBe(0)
})

// The port has no abort: the new session fences the old one and ends what it left open, whatever its client thinks.
describe("a transaction that failed is not ended by the producer that made it: both get new sessions first", () => {
  const failures = ["Retry", "Abort", "Unknown", "Gone", "Fenced"] as const
  const cases = TRANSACTION.flatMap(call => failures.map(failure => [call, failure] as const))
  test.each(cases)("%s: %s", (call, failure) => {
    const bench = new Bench("plain").run()
    bench.feed([event(1, 100_000)])
    if (call !== "produce") bench.answer("produce")
    bench.now += 30
    bench.answer("poll")
    while (!bench.waits(call)) bench.answer(TRANSACTION.find(step => bench.waits(step))!)
    // The calls that are under way come back, and the lane has nothing left to wait for.
    const before = bench.asked.length
    bench.fail(call, failure)
    if (bench.waits("poll")) bench.answer("poll")
    bench.settle(TRANSACTION)
    expect(bench.asked.slice(before).filter(asked => asked !== "pause")).toEqual(["initialise", "initialise"])
    bench.settle(["initialise", "pause", "restore", "seek"])
    expect(bench.failure).toBeUndefined()
    expect(PHASES[bench.phase]).toBe("running")
  })
})

test("a transaction that grew beyond what is kept is not sent once more", () => {
  const bench = new Bench("plain").run()
  bench.feed([{ ...event(1, 100_000), account: "a".repeat(2 << 20) }])
  bench.answer("produce")
  bench.now += 30
  bench.answer("poll")
  bench.fail("produce", "Abort")
  bench.settle(["initialise", "pause"])
  expect(bench.waits("restore")).toBe(true)
})

test("sent once more three times in vain, nothing but the log is believed", () => {
  const bench = new Bench("plain").run()
  bench.feed([event(1, 100_000)])
  for (let i = 0; i < 3; i++) {
    bench.fail("produce", "Abort")
    if (bench.waits("poll")) bench.answer("poll")
    bench.settle(["initialise"])
  }
  expect(bench.waits("restore")).toBe(false)
  bench.fail("produce", "Abort")
  bench.answer("poll")
  bench.settle(["initialise", "pause"])
  expect(bench.waits("restore")).toBe(true)
})

class UnknownMerchant extends Error {
  readonly _tag = "UnknownMerchant"
  override readonly message = "nobody's"
}

/** What the lane throws when its asynchronous step ends like this for the second of two records, at once or later. */
const thrownFor = (end: Effect.Effect<object, UnknownMerchant>, when: "at once" | "later"): unknown => {
  const results: (() => void)[] = []
  const ask = ((record: { id: number }, result: () => object) =>
    record.id < 2
      ? Effect.succeed(result())
      : when === "at once"
        ? end
        : Effect.callback<object, UnknownMerchant>(resume => void results.push(() => resume(end)))) as unknown as Ask
  const bench = new Bench("prefix", ask).run()
  try {
    bench.feed([event(1, 100_000), event(2, 100_000)])
    for (const result of results) result()
    bench.world.drain()
    bench.step({ type: "released" })
  } catch (error) {
    return error
  }
  return undefined
}

test.each(["at once", "later"] as const)(
  "a typed error that nobody handles stops the job and names its place: %s",
  when => {
    const thrown = thrownFor(Effect.fail(new UnknownMerchant()), when)
    expect(thrown).toBeInstanceOf(LogError)
    const { failure, message } = thrown as LogError
    expect({ failure, message }).toEqual({
      failure: "Stop",
      message: expect.stringMatching(
        /^mapEffect\S* failed with UnknownMerchant at events\/0 offset 1: nobody's\. .*catchTag/
      )
    })
  }
)

test("a defect, which a restart may mend, names its place", () => {
  const thrown = thrownFor(Effect.die(new Error("no route")), "later")
  expect(thrown).not.toBeInstanceOf(LogError)
  expect((thrown as Error).message).toMatch(/^mapEffect\S* died at events\/0 offset 1: .*no route/)
})

test("a lane that ended cleanly is not shown as failed", () => {
  const bench = new Bench("plain").run()
  bench.feed([event(1, 100_000)])
  bench.step({ type: "stop" })
  bench.answer("poll")
  bench.settle([...TRANSACTION, "close"])
  expect(PHASES[bench.phase]).toBe("stopped")
  const failing = new Bench("plain").run()
  failing.fail("poll", "Stop")
  expect(PHASES[failing.phase]).toBe("failed")
})
