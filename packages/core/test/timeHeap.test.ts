import { expect, test } from "bun:test"
import fc from "fast-check"
import { TimeHeap } from "../src/state/timeHeap.ts"

const anyStep = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant("put" as const), time: fc.nat(30) }), weight: 4 },
  { arbitrary: fc.record({ do: fc.constant("move" as const), which: fc.nat(), time: fc.nat(30) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constantFrom("remove" as const, "take" as const), which: fc.nat() }), weight: 2 }
)

interface Item {
  readonly slot: number
  time: number
  readonly order: number
}

test("what comes first is what a sorted list has first, whatever comes, moves and goes", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 50, maxLength: 300 }), fc.boolean(), (steps, byParity) => {
      const parity = (a: number, b: number) => (a & 1) - (b & 1)
      const heap = new TimeHeap(byParity ? parity : undefined)
      const items: Item[] = []
      const free: number[] = []
      const compare = (a: Item, b: Item) =>
        a.time - b.time || (byParity ? parity(a.slot, b.slot) : 0) || a.order - b.order
      steps.forEach((step, order) => {
        const first = items.toSorted(compare)[0]
        const item = step.do === "take" ? first : step.do === "put" ? undefined : items[step.which % items.length]
        if (step.do === "put") {
          const slot = free.pop() ?? items.length
          items.push({ slot, time: step.time, order })
          heap.put(slot, step.time, order)
        } else if (item !== undefined && step.do === "move") {
          item.time = step.time
          heap.put(item.slot, step.time, item.order)
        } else if (item !== undefined) {
          items.splice(items.indexOf(item), 1)
          free.push(item.slot)
          heap.remove(item.slot)
        }
        const expected = items.toSorted(compare)[0]
        expect(heap.size).toBe(items.length)
        expect(heap.isDue(30)).toBe(expected !== undefined)
        if (expected !== undefined) expect([heap.first, heap.firstTime]).toEqual([expected.slot, expected.time])
        for (const one of items) expect(heap.timeOf(one.slot)).toBe(one.time)
      })
    })
  )
})
