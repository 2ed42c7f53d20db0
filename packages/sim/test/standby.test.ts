import { expect, test } from "bun:test"
import { LogError } from "@headrace/engine"
import { KeyValues, Recovery } from "./recovery.ts"

/** A checkpoint of `a`, and `b` in the changelog behind it. */
const running = (): Recovery => {
  const recovery = new Recovery()
  recovery.commit(5, { a: "1" })
  recovery.checkpoint()
  recovery.commit(9, { b: "2" })
  return recovery
}

test("what is followed is taken over with the rest of the changelog, and with nothing else", () => {
  const recovery = running()
  const follower = recovery.follower()
  follower.look()
  recovery.commit(10, { b: "3" })
  follower.look()
  recovery.commit(12, { c: "4" })
  const before = recovery.metrics.get("restored")
  expect(follower.take()).toEqual({ offset: 12, state: { a: "1", b: "3", c: "4" } })
  expect(recovery.metrics.get("restored") - before).toBe(1)
  // It is its lane's now.
  expect(follower.take()).toBeUndefined()
  expect(follower.tasks).toMatchObject([{ closed: false }])
})

test("what a follower has read all of is read no further, and not taken for more than it is", () => {
  const recovery = running()
  const follower = recovery.follower()
  follower.look()
  const before = recovery.read.length
  expect(follower.take()).toEqual({ offset: 9, state: { a: "1", b: "2" } })
  expect(recovery.read.length).toBe(before)
  const other = recovery.follower()
  other.look()
  recovery.commit(9, { b: "3" })
  expect(other.take()).toEqual({ offset: 9, state: { a: "1", b: "3" } })
})

test("only what is committed is followed: a transaction that is not decided is waited for by who takes over", () => {
  const recovery = running()
  const follower = recovery.follower()
  recovery.commit(12, { c: "4" }, { marked: false })
  follower.look()
  expect(follower.gauges.get("behind")).toBeGreaterThan(0)
  const refused = follower.take()
  if (refused === undefined || !("error" in refused)) throw new Error("It was taken over")
  expect(refused.error.message).toContain("but the group committed 12")
  const patient = recovery.follower()
  patient.look()
  recovery.mark()
  expect(patient.take()).toEqual({ offset: 12, state: { a: "1", b: "2", c: "4" } })
})

test("how many partitions are followed, and how far behind the last look was, are gauges", () => {
  const recovery = running()
  const follower = recovery.follower()
  const seen = () => ["toFollow", "followed", "behind", "looks"].map(name => follower.gauges.get(name as "behind"))
  follower.look()
  follower.look()
  expect(seen()).toEqual([1, 1, 0, 2])
  recovery.commit(12, { c: "4" })
  recovery.commit(13, { c: "5" })
  follower.look()
  // Two records, and the marker behind each.
  expect(seen()).toEqual([1, 1, 4, 3])
})

test("a follower that the changelog was trimmed away from begins again at the newest checkpoint", () => {
  const recovery = running()
  const follower = recovery.follower()
  follower.look()
  for (const [to, value] of [
    [12, "4"],
    [13, "5"],
    [14, "6"],
    [15, "7"]
  ] as const) {
    recovery.commit(to, { c: value })
    recovery.checkpoint()
  }
  follower.look()
  expect(follower.take()).toBeUndefined()
  expect(follower.tasks).toMatchObject([{ closed: true }])
  follower.look()
  expect(follower.take()).toEqual({ offset: 15, state: { a: "1", b: "2", c: "7" } })
})

test("while it cannot be told what is wanted, what is followed stays, and nobody is told that there is nothing to follow", () => {
  const recovery = running()
  let known = false
  const follower = recovery.follower(() => (known ? [{ topic: recovery.input.topic, partition: 0 }] : undefined))
  follower.look()
  expect(follower.gauges.get("looks")).toBe(0)
  known = true
  follower.look()
  known = false
  follower.look()
  expect(follower.tasks).toMatchObject([{ closed: false }])
  expect(["toFollow", "followed", "looks"].map(name => follower.gauges.get(name as "looks"))).toEqual([1, 1, 1])
  expect(follower.take()).toEqual({ offset: 9, state: { a: "1", b: "2" } })
})

test("a partition that is not wanted any more is given up, with its state", () => {
  const recovery = running()
  const wanted = [{ topic: recovery.input.topic, partition: 0 }]
  const follower = recovery.follower(() => wanted)
  follower.look()
  wanted.pop()
  follower.look()
  expect(follower.take()).toBeUndefined()
  expect(follower.tasks).toMatchObject([{ closed: true }])
  expect(follower.gauges.get("followed")).toBe(0)
})

test("who has no room for what it follows says so, and goes on with what else there is", () => {
  const recovery = running()
  const tasks: KeyValues[] = []
  const makeTask = (): KeyValues => {
    const task = new KeyValues()
    task.restore = () => {
      throw new LogError("Gone", "the disk is full")
    }
    tasks.push(task)
    return task
  }
  expect(recovery.followerOf(makeTask).look()).toBeUndefined()
  expect(recovery.warned).toEqual([expect.stringContaining("Standby for events/0: the disk is full")])
  expect(tasks).toMatchObject([{ closed: true }])
})
