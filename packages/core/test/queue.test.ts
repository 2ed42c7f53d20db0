import { expect, test } from "bun:test"
import fc from "fast-check"
import { DueQueue, type Queued } from "../src/state/queue.ts"

const anyStep = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant("add" as const), due: fc.nat(30) }), weight: 4 },
  { arbitrary: fc.record({ do: fc.constant("move" as const), which: fc.nat(), due: fc.nat(30) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constantFrom("remove" as const, "take" as const), which: fc.nat() }), weight: 2 }
)

test("what is due first is what a sorted list has first, whatever comes, moves and goes", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 50, maxLength: 200 }), steps => {
      const queue = new DueQueue<Queued>()
      const items: Queued[] = []
      const first = () => items.toSorted((a, b) => a.due - b.due || a.order - b.order)[0]
      steps.forEach((step, order) => {
        const item = step.do === "take" ? first() : step.do === "add" ? undefined : items[step.which % items.length]
        if (step.do === "add") {
          items.push({ due: step.due, order, place: -1 })
          queue.place(items.at(-1)!)
        } else if (item !== undefined && step.do === "move") {
          item.due = step.due
          queue.place(item)
        } else if (item !== undefined) {
          items.splice(items.indexOf(item), 1)
          queue.remove(item)
        }
        expect(queue.first).toBe(first())
      })
    })
  )
})
