import type { Random } from "./random.ts"

/**
 * Draws ranks 0 … n − 1 with probability proportional to 1 / (rank + 1)^exponent, in constant time: Walker's alias
 * method with Vose's tables. Exponent 0 is uniform.
 */
export class Zipf {
  readonly size: number
  private readonly threshold: Float64Array
  private readonly alias: Uint32Array

  constructor(size: number, exponent: number) {
    this.size = size
    this.threshold = zipfWeights(size, exponent).map(p => p * size)
    this.alias = Uint32Array.from({ length: size }, (_, rank) => rank)
    fillAliases(this.threshold, this.alias)
  }

  draw(random: Random): number {
    const column = random.below(this.size)
    return random.unit() < this.threshold[column]! ? column : this.alias[column]!
  }
}

/** The probability of each rank. */
export const zipfWeights = (size: number, exponent: number): Float64Array => {
  const weights = Float64Array.from({ length: size }, (_, rank) => (rank + 1) ** -exponent)
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return weights.map(weight => weight / total)
}

/** Gives what columns above 1 have too much to those below, until each holds its own rank and at most one other. */
const fillAliases = (threshold: Float64Array, alias: Uint32Array): void => {
  const low = ranksWhere(threshold, share => share < 1)
  const high = ranksWhere(threshold, share => share >= 1)
  while (low.length > 0 && high.length > 0) {
    const short = low.pop()!
    const rich = high.pop()!
    alias[short] = rich
    threshold[rich]! -= 1 - threshold[short]!
    ;(threshold[rich]! < 1 ? low : high).push(rich)
  }
  // Rounding leaves columns a hair off 1: they are their own.
  for (const rank of low.concat(high)) threshold[rank] = 1
}

const ranksWhere = (threshold: Float64Array, test: (share: number) => boolean): number[] => {
  const ranks: number[] = []
  threshold.forEach((share, rank) => {
    if (test(share)) ranks.push(rank)
  })
  return ranks
}
