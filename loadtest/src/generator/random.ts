/** A seeded stream of 32-bit numbers: xoshiro128**, its state filled by splitmix32. Plain integers, no allocation. */
export class Random {
  private a: number
  private b: number
  private c: number
  private d: number

  constructor(seed: number) {
    const next = splitmix32(seed)
    this.a = next()
    this.b = next()
    this.c = next()
    this.d = next()
  }

  /** 32 random bits as an unsigned integer. */
  bits(): number {
    const scrambled = Math.imul(rotateLeft(Math.imul(this.b, 5), 7), 9)
    const shifted = this.b << 9
    this.c ^= this.a
    this.d ^= this.b
    this.b ^= this.c
    this.a ^= this.d
    this.c ^= shifted
    this.d = rotateLeft(this.d, 11)
    return scrambled >>> 0
  }

  /** Uniform in [0, 1). */
  unit(): number {
    return this.bits() / 0x1_0000_0000
  }

  /** Uniform in 0 … limit − 1, for a limit far below 2³² (the bias is limit / 2³²). */
  below(limit: number): number {
    return Math.floor(this.unit() * limit)
  }
}

const rotateLeft = (value: number, by: number): number => (value << by) | (value >>> (32 - by))

const splitmix32 = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = (state + 0x9e3779b9) | 0
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return (mixed ^ (mixed >>> 15)) | 0
  }
}

/** The seed of one thread of a run: different threads draw unrelated streams. */
export const threadSeed = (seed: number, thread: number): number =>
  Math.imul(seed ^ 0x5bd1e995, 0x01000193) ^ (thread * 0x9e3779b1)
