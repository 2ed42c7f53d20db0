import { type Chain, type Event, Model, type Seen, type Ttl } from "./processModel.ts"

const END = 1_000
const BOUND = 20

/**
 * Feeds events, each third one followed by the watermark, and at last the end; `between` may replace the chain. What is
 * due fires behind each event, or, `sliced`, when `between` says so.
 */
export const run = (
  first: Chain,
  events: readonly Event[],
  between: (chain: Chain) => Chain = chain => chain,
  sliced = false
): Seen[] => {
  const seen: Seen[] = []
  let chain = first
  let latest = Number.NEGATIVE_INFINITY
  events.forEach((one, i) => {
    latest = Math.max(latest, one.ts)
    chain.clock.now = one.clock ?? chain.clock.now
    chain.head.next(one, one.ts)
    if (i % 3 === 2) chain.head.watermark(latest - BOUND - 1)
    if (!sliced) settle(chain)
    seen.push(...chain.seen.splice(0))
    chain = between(chain)
  })
  chain.head.watermark(END)
  settle(chain)
  return [...seen, ...chain.seen]
}

const settle = (chain: Chain): void => {
  while (chain.process.pending) chain.process.proceed(1)
}

export const expected = (events: readonly Event[], ttl: Ttl): Seen[] => {
  const model = new Model(ttl)
  let latest = Number.NEGATIVE_INFINITY
  events.forEach((one, i) => {
    latest = Math.max(latest, one.ts)
    model.clock = one.clock ?? model.clock
    model.event(one)
    if (i % 3 === 2) model.watermark(latest - BOUND - 1)
    model.tick()
  })
  model.watermark(END)
  model.tick()
  return model.seen
}

/** Each key's calls in their order: those of different keys may interleave otherwise. */
export const byKey = (seen: readonly Seen[]): Map<unknown, Seen[]> => Map.groupBy(seen, one => one.key)
