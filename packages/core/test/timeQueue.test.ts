import { expect, test } from "bun:test"
import fc from "fast-check"
import { TimeQueue } from "../src/state/timeQueue.ts"

interface Item {
  readonly slot: number
  time: number
  order: number
}

const parity = (a: number, b: number) => (a & 1) - (b & 1)
const compareBy = (byParity: boolean) => (a: Item, b: Item) =>
  a.time - b.time || (byParity ? parity(a.slot, b.slot) : 0) || a.order - b.order

const anyStep = fc.oneof(
  { arbitrary: fc.record({ do: fc.constant("put" as const), time: fc.nat(30) }), weight: 4 },
  { arbitrary: fc.record({ do: fc.constant("move" as const), which: fc.nat(), time: fc.nat(30) }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constantFrom("remove" as const, "take" as const), which: fc.nat() }), weight: 2 }
)

test("what comes first is what a sorted list has first, whatever comes, moves and goes", () => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 50, maxLength: 300 }), fc.boolean(), (steps, byParity) => {
      const queue = new TimeQueue(byParity ? parity : undefined)
      const items: Item[] = []
      const free: number[] = []
      const compare = compareBy(byParity)
      steps.forEach((step, order) => {
        const first = items.toSorted(compare)[0]
        const item = step.do === "take" ? first : step.do === "put" ? undefined : items[step.which % items.length]
        if (step.do === "put") {
          const slot = free.pop() ?? items.length
          items.push({ slot, time: step.time, order })
          queue.put(slot, step.time, order)
        } else if (item !== undefined && step.do === "move") {
          item.time = step.time
          queue.put(item.slot, step.time, item.order)
        } else if (item !== undefined) {
          items.splice(items.indexOf(item), 1)
          free.push(item.slot)
          queue.remove(item.slot)
        }
        const expected = items.toSorted(compare)[0]
        expect(queue.size).toBe(items.length)
        expect(queue.isDue(30)).toBe(expected !== undefined)
        if (expected !== undefined) expect([queue.first, queue.firstTime]).toEqual([expected.slot, expected.time])
        for (const one of items) expect(queue.timeOf(one.slot)).toBe(one.time)
      })
    })
  )
})

/** Some come a fixed time ahead, in order, and some at any time, also never. */
const anyTime = fc.oneof(fc.constantFrom(60, 600, Number.POSITIVE_INFINITY), fc.nat(700))
const anyMove = fc.record({
  do: fc.constantFrom("add", "add", "move", "move", "move", "remove", "take"),
  which: fc.nat(),
  ahead: anyTime,
  passes: fc.nat(2)
})

/** As rows do: who moves on may stand by an earlier time, and is put in again when that comes. */
class Lazy {
  readonly queue = new TimeQueue()
  private readonly queued: number[] = []
  private readonly items = new Map<number, Item>()
  private orders = 0

  add(slot: number, time: number): void {
    this.items.set(slot, { slot, time, order: this.orders++ })
    this.queued[slot] = time
    this.queue.put(slot, time, this.items.get(slot)!.order)
  }

  move(slot: number, time: number): void {
    const item = this.items.get(slot)!
    if (item.time === time) return
    item.time = time
    item.order = this.orders++
    if (time <= this.queued[slot]!) {
      this.queue.put(slot, time, item.order)
      this.queued[slot] = time
    } else if (this.queue.follow(slot, time, item.order)) this.queued[slot] = time
  }

  remove(slot: number): void {
    this.items.delete(slot)
    this.queue.remove(slot)
  }

  /** How often something was put in again until the first one was one that is due. */
  settle(): number {
    for (let times = 0; ; times++) {
      if (this.queue.size === 0) return times
      const { time, order, slot } = this.items.get(this.queue.first)!
      if (time <= this.queued[slot]!) return times
      this.queued[slot] = this.queue.insert(slot, time, order)
    }
  }

  get all(): readonly Item[] {
    return [...this.items.values()]
  }
}

test("the same where those that move on stand by earlier times until these come", () => {
  const compare = compareBy(false)
  fc.assert(
    fc.property(fc.array(anyMove, { minLength: 100, maxLength: 600 }), moves => {
      const lazy = new Lazy()
      let now = 0
      for (const { do: what, which, ahead, passes } of moves) {
        now += passes
        const all = lazy.all
        const item = what === "take" ? all.toSorted(compare)[0] : all[which % all.length]
        if (what === "add")
          lazy.add([...Array(all.length + 1).keys()].find(slot => all.every(one => one.slot !== slot))!, now + ahead)
        else if (item !== undefined && what === "move") lazy.move(item.slot, now + ahead)
        else if (item !== undefined) lazy.remove(item.slot)
        lazy.settle()
        const expected = lazy.all.toSorted(compare)[0]
        expect(lazy.queue.size).toBe(lazy.all.length)
        if (expected !== undefined)
          expect([lazy.queue.first, lazy.queue.firstTime]).toEqual([expected.slot, expected.time])
      }
    }),
    { numRuns: 200 }
  )
})

test("who is due a fixed time later again and again moves along in the queue, and leaves nothing there", () => {
  const lazy = new Lazy()
  const keys = 100
  for (let slot = 0; slot < keys; slot++) {
    lazy.add(slot, slot / 1_000 + 60)
    lazy.add(keys + slot, slot / 1_000 + 600)
  }
  const before = lazy.queue.byteSize
  for (let now = 0; now < 59; now += 0.001) {
    // Something is always due next.
    if (now > 0) lazy.remove(2 * keys)
    lazy.add(2 * keys, now)
    const key = Math.floor(now * 7_919) % keys
    lazy.move(key, now + 60)
    if (key === 0) lazy.move(keys + key, 700 - now)
  }
  expect(lazy.queue.byteSize).toBeLessThanOrEqual(before * 2)
  lazy.remove(2 * keys)
  expect(lazy.settle()).toBe(0)
})

test("what comes first is told where it came in order, without what has gone from between", () => {
  const queue = new TimeQueue()
  const told = (most: number) => {
    const slots: number[] = []
    queue.tellFirst(most, slot => slots.push(slot))
    return slots
  }
  expect(told(3)).toEqual([])
  for (let slot = 0; slot < 10; slot++) queue.put(slot, slot, slot)
  for (const slot of [0, 2, 4]) queue.remove(slot)
  // This one moves along to the end.
  queue.put(5, 10, 10)
  expect(told(3)).toEqual([1, 3, 6])
  expect(told(100)).toEqual([1, 3, 6, 7, 8, 9, 5])
})
