import { Row } from "../state/rows.ts"
import { Matches, NONE } from "./matches.ts"
import type { Member, PatternSet } from "./set.ts"

/** What one pattern has under way in a key. It names the pattern by id and version, never by its place among the others. */
export class UnderWay extends Matches {
  readonly id: string
  readonly version: number
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
  static of(member: Member, begun: Matches): UnderWay {
    const own = new UnderWay(member.of.id, member.version)
    own.member = member
    own.partials = begun.partials
    own.held = begun.held
    own.due = begun.due
    own.changed = begun.changed
    begun.partials = NONE
    begun.held = NONE
    return own
  }
}

/** What all patterns have under way in a key, in the order of the patterns once they have been looked up. */
export class KeyMatches extends Row {
  first: UnderWay | undefined
  /** That of the event that was looked at last: see Seen. */
  turn = 0
  /** How often the patterns had changed when they were looked up; -1: they never were. */
  private changes: number

  constructor(first?: UnderWay, set?: PatternSet) {
    super()
    this.first = first
    this.changes = set?.changes ?? -1
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
  settle(): boolean {
    let changed = false
    let before: UnderWay | undefined
    for (let one = this.first; one !== undefined; one = one.next) {
      if (one.changed) changed = true
      one.changed = false
      if (!one.isEmpty) before = one
      else if (before === undefined) this.first = one.next
      else before.next = one.next
    }
    return changed
  }

  /** When the first partial match is over, if nothing comes. */
  get end(): number {
    let end = Number.POSITIVE_INFINITY
    for (let one = this.first; one !== undefined; one = one.next) if (one.due < end) end = one.due
    return end
  }
}
