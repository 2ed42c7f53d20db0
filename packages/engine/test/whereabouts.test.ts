/** Which partitions a process is said to have, and when all of a job have come to rest. */
import { expect, test } from "bun:test"
import { Whereabouts } from "../src/index.ts"

const [p0, p1, p2] = [0, 1, 2].map(partition => ({ topic: "orders", partition })) as [Place, Place, Place]
type Place = { readonly topic: string; readonly partition: number }

const job = () => {
  const main = Whereabouts.of([p0, p1, p2], 2)
  const said = [0, 1].map(() => new Whereabouts(main.shared))
  return {
    main,
    has: (lane: number, ...owned: readonly Place[]) => said[lane]!.say(lane, owned),
    rests: (lane: number, halt: number, ...owned: readonly Place[]) => said[lane]!.say(lane, owned, halt, owned)
  }
}

test("a partition counts once, also where a lane that was expelled does not know that another one has it", () => {
  const { main, has, rests } = job()
  const [expelled, other] = [0, 1]
  // As many as there are, but not all of them: another process has one.
  has(expelled, p0, p1)
  has(other, p1)
  expect(main.missing).toEqual(["orders/2"])
  rests(expelled, 7, p0, p1)
  rests(other, 7, p1)
  expect(main.missing).toEqual(["orders/2"])
  expect(main.all(7)).toBe(false)
  // All of them, and said more often than there are any.
  has(other, p1, p2)
  expect(main.missing).toEqual([])
  rests(other, 7, p1, p2)
  expect(main.missing).toEqual([])
  expect(main.all(7)).toBe(true)
})

test("what moves again, failed, or came to rest by another halt has not come to rest", () => {
  const { main, has, rests } = job()
  rests(0, 7, p0, p1)
  rests(1, 7, p2)
  expect(main.all(7)).toBe(true)
  expect(main.all(8)).toBe(false)
  has(1, p2)
  expect(main.all(7)).toBe(false)
  rests(1, 7, p2)
  main.forget(0)
  expect(main.all(7)).toBe(false)
  expect(main.missing).toEqual(["orders/0", "orders/1"])
  // Whoever has them now says so.
  rests(1, 7, p0, p1, p2)
  expect(main.all(7)).toBe(true)
})

test("a partition that came after the start is named, and takes nobody's place", () => {
  const { main, has, rests } = job()
  const [p3, p4] = [3, 4].map(partition => ({ topic: "orders", partition })) as [Place, Place]
  expect(main.later).toEqual([])
  rests(0, 7, p0, p1, p4)
  rests(1, 7, p3)
  expect(main.later).toEqual(["orders/4"])
  expect(main.missing).toEqual(["orders/2"])
  rests(1, 7, p2)
  expect(main.all(7)).toBe(true)
  has(0, p0, p1)
  expect(main.later).toEqual([])
})
