import { Row } from "../state/rows.ts"
import { Matches } from "./matches.ts"
import type { Member, PatternSet } from "./set.ts"

/** What one pattern has under way in a key. It names the pattern by id and version, never by its place among the others. */
export class UnderWay extends Matches {
  id: string
  version: number
  /** The pattern, once it has been looked up in a set. */
  member: Member | undefined
  /** What another pattern has under way in the key. */
  next: UnderWay | undefined

  constructor(id: string, version: number) {
    super()
    this.id = id
    this.version = version
    this.member = undefined
    this.next = undefined
  }

  /** Takes what a pattern has begun, and leaves nothing of it. */
  begin(member: Member, begun: Matches): void {
    this.id = member.of.id
    this.version = member.version
    this.member = member
    this.takeOver(begun)
  }
}

/** What all patterns have under way in a key, in the order of the patterns once they have been looked up. */
export class KeyMatches extends Row {
  first: UnderWay | undefined = undefined
  /** That of the event that was looked at last: see Seen. */
  turn = 0
  /** How often the patterns had changed when they were looked up; -1: they never were. */
  private changes = -1

  /** Nothing of the patterns of a set is under way yet. */
  begin(set: PatternSet): void {
    this.first = undefined
    this.changes = set.changes
  }

  *[Symbol.iterator](): Generator<UnderWay> {
    for (let one = this.first; one !== undefined; one = one.next) yield one
  }

  /** What is under way of the patterns of a set. That of others is dropped and counted; then the answer is true. */
  lookUp(set: PatternSet): boolean {
    if (this.changes === set.changes) return false
    this.changes = set.changes
    const all = [...this]
    const found = all.filter(one => set.find(one)).sort((a, b) => a.member!.place - b.member!.place)
    for (const [i, one] of found.entries()) one.next = found[i + 1]
    this.first = found[0]
    return found.length < all.length
  }

  add(own: UnderWay): void {
    const { place } = own.member!
    let before: UnderWay | undefined
    let behind = this.first
    while (behind !== undefined && behind.member!.place < place) {
      before = behind
      behind = behind.next
    }
    own.next = behind
    if (before === undefined) this.first = own
    else before.next = own
  }

  /** Leaves out patterns that have nothing under way any more; answers whether anything is not what is kept of it. */
  settle(spare: Spare): boolean {
    let changed = false
    let before: UnderWay | undefined
    let next: UnderWay | undefined
    for (let one = this.first; one !== undefined; one = next) {
      next = one.next
      if (one.changed) changed = true
      one.changed = false
      if (!one.isEmpty) {
        before = one
        continue
      }
      if (before === undefined) this.first = next
      else before.next = next
      spare.leaveWay(one)
    }
    return changed
  }

  read(): number {
    // At both of its ends, and of all that is under way there.
    let sum = this.due + this.changes
    for (let one = this.first; one !== undefined; one = one.next) sum += one.due + one.version
    return sum
  }

  /** When the first partial match is over, if nothing comes. */
  get end(): number {
    let end = Number.POSITIVE_INFINITY
    for (let one = this.first; one !== undefined; one = one.next) if (one.due < end) end = one.due
    return end
  }
}

/** More of a kind are not worth their memory. */
const MOST_SPARE = 1_024

/** What was under way: for what begins next, so that the collector has little to do where as much ends as begins. */
export class Spare {
  private readonly keys: KeyMatches[] = []
  private readonly ways: UnderWay[] = []

  /** For a key with nothing under way yet. */
  key(set: PatternSet): KeyMatches {
    const key = this.keys.pop() ?? new KeyMatches()
    key.begin(set)
    return key
  }

  /** Has what a pattern has begun, of which nothing is left there. */
  way(member: Member, begun: Matches): UnderWay {
    const way = this.ways.pop() ?? new UnderWay(member.of.id, member.version)
    way.begin(member, begun)
    return way
  }

  leaveKey(key: KeyMatches): void {
    if (this.keys.length < MOST_SPARE) this.keys.push(key)
  }

  leaveWay(way: UnderWay): void {
    way.record = undefined
    way.next = undefined
    if (this.ways.length < MOST_SPARE) this.ways.push(way)
  }
}
