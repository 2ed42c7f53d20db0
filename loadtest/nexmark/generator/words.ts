import type { Random } from "../../src/generator/random.ts"

export const STATES = ["AZ", "CA", "ID", "OR", "WA", "WY"]
export const CITIES = [
  "Phoenix",
  "Los Angeles",
  "San Francisco",
  "Boise",
  "Portland",
  "Bend",
  "Redmond",
  "Seattle",
  "Kent",
  "Cheyenne"
]
export const FIRST_NAMES = [
  "Peter",
  "Paul",
  "Luke",
  "John",
  "Saul",
  "Vicky",
  "Kate",
  "Julie",
  "Sarah",
  "Deiter",
  "Walter"
]
export const LAST_NAMES = ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"]
export const HOT_CHANNELS = ["Google", "Facebook", "Baidu", "Apple"]

const LETTERS = "abcdefghijklmnopqrstuvwxyz"
const SHORTEST_WORD = 3
/** One letter of so many is a gap. */
const GAP = 13
const FILLER_LENGTH = 1 << 16

export const pick = (random: Random, words: readonly string[]): string => words[random.below(words.length)]!

/** Letters with a gap now and then: 3 or more, fewer than `limit`. */
export const word = (random: Random, limit: number, gap = " "): string => {
  const length = SHORTEST_WORD + random.below(limit - SHORTEST_WORD)
  let made = ""
  for (let i = 0; i < length; i++) made += random.below(GAP) === 0 ? gap : LETTERS[random.below(LETTERS.length)]!
  return made.trim()
}

/** Text that brings records to their size, cut from one long string. */
export class Filler {
  private readonly random: Random
  private readonly text: string

  constructor(random: Random) {
    this.random = random
    this.text = Array.from({ length: FILLER_LENGTH }, () => LETTERS[random.below(LETTERS.length)]!).join("")
  }

  /** So much that a record which has `size` bytes comes to `mean`, a fifth more or less. */
  upTo(mean: number, size: number): string {
    const missing = mean - size
    if (missing <= 0) return ""
    const spread = Math.round(missing * 0.2)
    const length = missing - spread + this.random.below(2 * spread)
    const start = this.random.below(FILLER_LENGTH - length)
    return this.text.slice(start, start + length)
  }
}
