import type { Matches } from "./matches.ts"
import type { Member, PatternSet } from "./set.ts"

/** What one pattern has under way in a key. It names the pattern by id and version, never by its place among the others. */
export class UnderWay {
  readonly id: string
  readonly version: number
  readonly matches: Matches
  /** The pattern, once it has been looked up in a set. */
  member: Member | undefined

  constructor(id: string, version: number, matches: Matches, member?: Member) {
    this.id = id
    this.version = version
    this.matches = matches
    this.member = member
  }
}

/** What all patterns have under way in a key, in the order of the patterns once they have been looked up. */
export class KeyMatches {
  all: UnderWay[]
  /** How often the patterns had changed when `all` was looked up; undefined: it never was. */
  private changes: number | undefined

  constructor(all: UnderWay[], set?: PatternSet) {
    this.all = all
    this.changes = set?.changes
  }

  /** What is under way of the patterns of a set. That of others is dropped and counted; then the answer is true. */
  lookUp(set: PatternSet): boolean {
    if (this.changes === set.changes) return false
    this.changes = set.changes
    const before = this.all.length
    this.all = this.all.filter(one => set.find(one))
    this.all.sort((a, b) => a.member!.place - b.member!.place)
    return this.all.length < before
  }

  add(one: UnderWay): void {
    const { all } = this
    let at = all.length
    for (; at > 0 && all[at - 1]!.member!.place > one.member!.place; at--) all[at] = all[at - 1]!
    all[at] = one
  }

  /** When the first partial match is over, if nothing comes. */
  get due(): number {
    const { all } = this
    let due = Number.POSITIVE_INFINITY
    for (let i = 0; i < all.length; i++) due = Math.min(due, all[i]!.matches.due)
    return due
  }

  /** Leaves out patterns that have nothing under way any more; answers whether anything is not what is kept of it. */
  settle(): boolean {
    const { all } = this
    let changed = false
    let empty = false
    for (let i = 0; i < all.length; i++) {
      const { matches } = all[i]!
      if (matches.changed) changed = true
      if (matches.isEmpty) empty = true
      matches.changed = false
    }
    if (empty) this.all = all.filter(({ matches }) => !matches.isEmpty)
    return changed
  }
}
