/** When all partitions of a job are said to have come to rest. */
import { expect, test } from "bun:test"
import { HaltedPartitions } from "../src/index.ts"

const [p0, p1, p2] = [0, 1, 2].map(partition => ({ topic: "orders", partition })) as [Place, Place, Place]
type Place = { readonly topic: string; readonly partition: number }

const job = () => {
  const main = HaltedPartitions.of([p0, p1, p2], 2)
  return { main, lanes: [0, 1].map(() => new HaltedPartitions(main.shared)) as [HaltedPartitions, HaltedPartitions] }
}

test("a partition counts once, also where a lane that was expelled does not know that another one has it", () => {
  const { main, lanes } = job()
  const [expelled, other] = lanes
  expelled.say(0, 7, [p0, p1])
  // As many as there are, but not all of them: one still moves.
  other.say(1, 7, [p1])
  expect(main.all(7)).toBe(false)
  // All of them, and said more often than there are any.
  other.say(1, 7, [p1, p2])
  expect(main.all(7)).toBe(true)
})

test("what moves again, failed, or came to rest by another halt has not come to rest", () => {
  const { main, lanes } = job()
  lanes[0].say(0, 7, [p0, p1])
  lanes[1].say(1, 7, [p2])
  expect(main.all(7)).toBe(true)
  expect(main.all(8)).toBe(false)
  lanes[1].say(1, 7, [])
  expect(main.all(7)).toBe(false)
  lanes[1].say(1, 7, [p2])
  main.forget(0)
  expect(main.all(7)).toBe(false)
  // Whoever has them now says so.
  lanes[1].say(1, 7, [p0, p1, p2])
  expect(main.all(7)).toBe(true)
})

test("a partition that came later is refused, and named: nobody would wait for it", () => {
  const { main } = job()
  expect(() => main.say(0, 7, [{ topic: "orders", partition: 3 }])).toThrow(
    "orders/3 came after this process had started"
  )
})
