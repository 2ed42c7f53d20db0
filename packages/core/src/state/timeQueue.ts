import { TimeHeap } from "./timeHeap.ts"
import { TimeRun } from "./timeRun.ts"

/** So many runs there are at most: one for each of a few durations, or of a few sources that are each in order. */
const RUNS = 4
/** A run has come close to a time when at most this part of the way there is left: of times in any order hardly one is that close. */
const CLOSE = 1 / 256
/** To stand by an earlier time is worth while from this part of the way on. */
const WORTH = 1 / 16
/** In a place, in its lowest bits: which run it is in, or that it stands in the heap. Above them a run's position. */
const HEAP = RUNS
const BITS = 3
const WHICH = 7
const NOWHERE = -1

/**
 * Slots by a time, earliest first, and of one time in an order of their own. What comes in order, as most events do and what is
 * due a fixed time after them, stands in runs, where it costs next to nothing; the rest in a heap.
 */
export class TimeQueue {
  size = 0
  private readonly runs = Array.from({ length: RUNS }, () => new TimeRun())
  private readonly heap = new TimeHeap((a, b) => this.isFirst(a, b))
  /** By slot. */
  private places = new Int32Array(16).fill(NOWHERE)
  private orders = new Float64Array(16)
  private readonly compare: ((a: number, b: number) => number) | undefined
  /** What comes first, once it has been looked for; NOWHERE: it has not. */
  private found = NOWHERE
  private foundTime = 0

  /** `compare`: two slots of one time; those that are alike by it, and all without it, stand by their orders. */
  constructor(compare?: (a: number, b: number) => number) {
    this.compare = compare
  }

  get byteSize(): number {
    const runs = this.runs.reduce((sum, run) => sum + run.byteSize, 0)
    return this.heap.byteSize + this.places.byteLength + this.orders.byteLength + runs
  }

  isDue(time: number): boolean {
    return this.size > 0 && this.firstTime <= time
  }

  /** The earliest slot; only while there is one. */
  get first(): number {
    if (this.found === NOWHERE) this.look()
    return this.found
  }

  /** The earliest time; only while there is one. */
  get firstTime(): number {
    if (this.found === NOWHERE) this.look()
    return this.foundTime
  }

  /**
   * Tells so many slots at most, from the first one on, in the order of the run that this stands in: what comes from elsewhere in
   * between is not told, nor what comes first in the heap.
   */
  tellFirst(most: number, tell: (slot: number) => void): void {
    if (this.size === 0) return
    const place = this.places[this.first]!
    if (place === HEAP) return
    const which = place & WHICH
    const run = this.runs[which]!
    let left = most
    for (let position = run.head; left > 0 && position !== run.tail; position = (position + 1) | 0) {
      const slot = run.slotAt(position)
      if (this.places[slot] !== placeOf(position, which)) continue
      tell(slot)
      left--
    }
  }

  /** When a slot that stands here is due. */
  timeOf(slot: number): number {
    const place = this.places[slot]!
    return place === HEAP ? this.heap.timeOf(slot) : this.runs[place & WHICH]!.timeAt(place >> BITS)
  }

  orderOf(slot: number): number {
    return this.orders[slot]!
  }

  /** Reads what is kept of a slot: see Ahead. */
  read(slot: number): number {
    return this.places[slot]! + this.orders[slot]!
  }

  /** Puts a slot in, or where it belongs by another time: behind a run, if there is one, for what comes may well come in order. */
  put(slot: number, time: number, order: number): void {
    this.makeRoom(slot)
    const which = this.fitting(slot, time, order)
    if (which === NOWHERE) this.push(slot, time, order)
    else this.append(which, slot, time, order)
  }

  /**
   * The same of one that may come in any order, and may stand by an earlier time if whoever finds it then puts it in again: by that of the
   * last one of a run, which is left as it was. Returns by which time it stands.
   */
  insert(slot: number, time: number, order: number): number {
    if (this.follow(slot, time, order)) return time
    const which = this.fitting(slot, time, order)
    const until = which === NOWHERE ? Number.NEGATIVE_INFINITY : this.runs[which]!.lastTime
    if (until - this.firstTime < (time - this.firstTime) * WORTH) {
      this.push(slot, time, order)
      return time
    }
    // As the last one of its time: it is no hindrance to those that belong there.
    this.append(which, slot, until, Number.POSITIVE_INFINITY)
    return until
  }

  /** Puts a slot behind a run that has come close to its time; where there is none it stays as it was, and the answer is false. */
  follow(slot: number, time: number, order: number): boolean {
    this.makeRoom(slot)
    const which = this.fitting(slot, time, order)
    if (which === NOWHERE || !this.isClose(this.runs[which]!, time)) return false
    this.append(which, slot, time, order)
    return true
  }

  remove(slot: number): void {
    this.leave(slot)
    this.size--
  }

  private push(slot: number, time: number, order: number): void {
    this.enter(slot, time, order)
    this.places[slot] = HEAP
    this.heap.put(slot, time)
  }

  private append(which: number, slot: number, time: number, order: number): void {
    this.enter(slot, time, order)
    const run = this.runs[which]!
    if (run.isFull) this.tidy(run, which)
    this.places[slot] = placeOf(run.append(slot, time), which)
  }

  /** Measured by how far it is from the first one: what is due in an hour may come a while before the next that is due in an hour. */
  private isClose({ live, lastTime }: TimeRun, time: number): boolean {
    if (lastTime === time) return true
    return live > 0 && time < Number.POSITIVE_INFINITY && time - lastTime <= (time - this.firstTime) * CLOSE
  }

  /** The run that ends closest before it, so that each is left to its own pace. */
  private fitting(slot: number, time: number, order: number): number {
    const { runs } = this
    let best = NOWHERE
    let bestTime = Number.NEGATIVE_INFINITY
    for (let i = 0; i < RUNS; i++) {
      const { live, lastTime } = runs[i]!
      if (live === 0) {
        if (best === NOWHERE) best = i
      } else if (
        lastTime <= time &&
        lastTime > bestTime &&
        (lastTime < time || this.isBehind(runs[i]!, i, slot, order))
      ) {
        best = i
        bestTime = lastTime
      }
    }
    return best
  }

  /** Whether a slot comes after the last one of a run, of the same time. Behind a hole nobody knows. */
  private isBehind(run: TimeRun, which: number, slot: number, order: number): boolean {
    const position = (run.tail - 1) | 0
    const last = run.slotAt(position)
    if (last === slot || this.places[last] !== placeOf(position, which)) return false
    const apart = this.compare === undefined ? 0 : this.compare(last, slot)
    return apart === 0 ? this.orders[last]! < order : apart < 0
  }

  /** A slot leaves where it stands for where it belongs. */
  private enter(slot: number, time: number, order: number): void {
    if (this.places[slot] === NOWHERE) this.size++
    else this.leave(slot)
    this.orders[slot] = order
    if (this.found === NOWHERE) return
    if (time < this.foundTime || (time === this.foundTime && this.isFirst(slot, this.found))) this.found = NOWHERE
  }

  private leave(slot: number): void {
    const place = this.places[slot]!
    this.places[slot] = NOWHERE
    if (slot === this.found) this.found = NOWHERE
    if (place === HEAP) return this.heap.remove(slot)
    const run = this.runs[place & WHICH]!
    if (--run.live === 0) run.clear()
    else if (run.head << BITS === place - (place & WHICH)) this.advance(run, place & WHICH)
  }

  /** Until the first one is no hole. */
  private advance(run: TimeRun, which: number): void {
    const { places } = this
    let { head } = run
    while (places[run.slotAt(head)] !== placeOf(head, which)) head = (head + 1) | 0
    run.head = head
  }

  private look(): void {
    const { heap, runs } = this
    let found = heap.size === 0 ? NOWHERE : heap.first
    let foundTime = heap.size === 0 ? Number.POSITIVE_INFINITY : heap.firstTime
    for (let i = 0; i < RUNS; i++) {
      const run = runs[i]!
      if (run.live === 0) continue
      const time = run.timeAt(run.head)
      if (time > foundTime) continue
      const slot = run.slotAt(run.head)
      if (time === foundTime && found !== NOWHERE && !this.isFirst(slot, found)) continue
      found = slot
      foundTime = time
    }
    this.found = found
    this.foundTime = foundTime
  }

  private isFirst(a: number, b: number): boolean {
    const apart = this.compare === undefined ? 0 : this.compare(a, b)
    return apart === 0 ? this.orders[a]! < this.orders[b]! : apart < 0
  }

  private tidy(run: TimeRun, which: number): void {
    run.tidy(
      (slot, position) => this.places[slot] === placeOf(position, which),
      (slot, position) => {
        this.places[slot] = placeOf(position, which)
      }
    )
  }

  private makeRoom(slot: number): void {
    const { length } = this.places
    if (slot < length) return
    const size = Math.max(slot + 1, length * 2)
    const { places, orders } = this
    this.places = new Int32Array(size).fill(NOWHERE)
    this.places.set(places)
    this.orders = new Float64Array(size)
    this.orders.set(orders)
  }
}

const placeOf = (position: number, which: number): number => (position << BITS) | which
