const INITIAL_BITS = 2 ** 20

/** A growing set of small integers with one bit for each. */
export class BitSet {
  private words = new Uint32Array(INITIAL_BITS / 32)
  /** How many distinct integers are in it. */
  size = 0

  /** Adds it; false if it was there. */
  add(value: number): boolean {
    const at = Math.floor(value / 32)
    if (at >= this.words.length) this.grow(at)
    const bit = 1 << (value & 31)
    const word = this.words[at]!
    if ((word & bit) !== 0) return false
    this.words[at] = word | bit
    this.size++
    return true
  }

  has(value: number): boolean {
    return ((this.words[Math.floor(value / 32)] ?? 0) & (1 << (value & 31))) !== 0
  }

  private grow(at: number): void {
    const words = new Uint32Array(Math.max(at + 1, this.words.length * 2))
    words.set(this.words)
    this.words = words
  }
}
