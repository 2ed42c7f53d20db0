/** What stands in a queue: due at a time, and among what is due at the same time in an order of its own. */
export interface Queued {
  due: number
  readonly order: number
  /** Its place in the heap, -1 while it stands in none. The queue's own. */
  place: number
}

/** A binary heap of what is due, earliest first. Each item knows its place, so that one that goes leaves nothing behind. */
export class DueQueue<A extends Queued> {
  private readonly heap: A[] = []

  get first(): A | undefined {
    return this.heap[0]
  }

  /** Puts an item in, or where it belongs after its `due` changed. */
  place(item: A): void {
    if (item.place < 0) this.set(this.heap.length, item)
    this.rise(item)
    this.sink(item)
  }

  remove(item: A): void {
    const { place } = item
    if (place < 0) return
    item.place = -1
    const last = this.heap.pop()!
    if (last === item) return
    this.set(place, last)
    this.rise(last)
    this.sink(last)
  }

  private rise(item: A): void {
    while (item.place > 0) {
      const above = this.heap[(item.place - 1) >> 1]!
      if (!isBefore(item, above)) return
      this.swap(item, above)
    }
  }

  private sink(item: A): void {
    for (;;) {
      const left = this.heap[item.place * 2 + 1]
      if (left === undefined) return
      const right = this.heap[item.place * 2 + 2]
      const below = right !== undefined && isBefore(right, left) ? right : left
      if (!isBefore(below, item)) return
      this.swap(item, below)
    }
  }

  private swap(a: A, b: A): void {
    const { place } = a
    this.set(b.place, a)
    this.set(place, b)
  }

  private set(place: number, item: A): void {
    this.heap[place] = item
    item.place = place
  }
}

const isBefore = (a: Queued, b: Queued): boolean => a.due < b.due || (a.due === b.due && a.order < b.order)
