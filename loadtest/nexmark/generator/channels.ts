import type { Random } from "../../src/generator/random.ts"
import { HOT_CHANNELS, word } from "./words.ts"

const CHANNELS = 10_000
/** One of so many addresses does not say which channel it belongs to. */
const WITHOUT_ID = 10

interface Channel {
  readonly channel: string
  readonly url: string
}

/** Where bids come from: half of them from four well-known places, the others from ten thousand. */
export class Channels {
  private readonly random: Random
  private readonly hot: readonly Channel[]
  private readonly others: readonly Channel[]

  constructor(random: Random) {
    this.random = random
    this.hot = HOT_CHANNELS.map(channel => ({ channel, url: address(random) }))
    this.others = Array.from({ length: CHANNELS }, (_, i) => {
      const id = random.below(WITHOUT_ID) === 0 ? "" : `&channel_id=${Math.abs(reversed(i))}`
      return { channel: `channel-${i}`, url: address(random) + id }
    })
  }

  next(): Channel {
    const from = this.random.below(2) === 0 ? this.others : this.hot
    return from[this.random.below(from.length)]!
  }
}

const address = (random: Random): string => {
  const directories = [0, 1, 2].map(() => word(random, 5, "_"))
  return `https://www.nexmark.com/${directories.join("/")}/item.htm?query=1`
}

/** The 32 bits of an integer in the other order, as a signed one. */
const reversed = (value: number): number => {
  let from = value
  let made = 0
  for (let bit = 0; bit < 32; bit++) {
    made = (made << 1) | (from & 1)
    from >>>= 1
  }
  return made
}
