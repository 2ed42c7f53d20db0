import fc from "fast-check"
import { END_OF_TIME } from "../src/operator.ts"
import type { Chain, Emitted, Event, WindowSpec } from "./harness.ts"

const anyKey = fc.oneof(
  fc.array(fc.constantFrom("", "a", "b", "ab", "ä", "key-of-some-length-0", "\u0000", "💶"), {
    minLength: 1,
    maxLength: 6
  }),
  fc.array(
    fc.double({ noNaN: true }).map(key => key + 0),
    { minLength: 1, maxLength: 6 }
  ),
  fc.array(fc.bigInt(), { minLength: 1, maxLength: 6 })
) as fc.Arbitrary<readonly (string | number | bigint)[]>

export const anySpec: fc.Arbitrary<WindowSpec> = fc.record({
  size: fc.integer({ min: 1, max: 40 }),
  offset: fc.integer({ min: -50, max: 50 }),
  allowedLateness: fc.integer({ min: 0, max: 30 })
})

export const anyEvents: fc.Arbitrary<readonly Event[]> = anyKey.chain(keys =>
  fc.array(
    fc.record({
      key: fc.constantFrom(...keys),
      value: fc.oneof(
        fc.integer({ min: -5, max: 5 }),
        fc.maxSafeInteger().map(n => Math.trunc(n / 1000)),
        fc.constant(-0),
        fc.double({ noNaN: true })
      ),
      ts: fc.integer({ min: -200, max: 200 })
    }),
    { maxLength: 60 }
  )
)

/** The naive model: all windows of a list of events, each key in order of its first event. */
export const model = (events: readonly Event[], spec: WindowSpec): Emitted[] => {
  const groups = new Map<string, Event[]>()
  const startOf = (event: Event) => Math.floor((event.ts - spec.offset) / spec.size) * spec.size + spec.offset + 0
  for (const event of events) {
    const name = `${startOf(event)} ${typeof event.key} ${event.key}`
    groups.set(name, [...(groups.get(name) ?? []), event])
  }
  const results = Array.from(groups.values(), group => result(group, startOf(group[0]!), spec))
  return results.sort((a, b) => a.start - b.start)
}

const result = (group: readonly Event[], start: number, { size }: WindowSpec): Emitted => {
  const list = group.map(event => event.value)
  const sum = list.reduce((total, one) => total + one, 0)
  return {
    key: typeof group[0]!.key === "number" ? group[0]!.key + 0 : group[0]!.key,
    start,
    end: start + size,
    ts: start + size - 1,
    count: list.length,
    sum,
    min: Math.min(...list),
    max: Math.max(...list),
    average: sum / list.length,
    distinct: new Set(list).size,
    list
  }
}

/** Feeds events, each followed by the watermark of the bound, and lets `between` replace the chain. */
export const run = (
  first: Chain,
  events: readonly Event[],
  between: (chain: Chain) => Chain = chain => chain,
  atEnd: (chain: Chain) => void = () => {}
): Output => {
  const output: Output = { emits: [], late: [] }
  let chain = first
  const collect = () => {
    const { emits, late } = chain.take()
    output.emits.push(...emits)
    output.late.push(...late)
  }
  for (const event of events) {
    chain.event(event)
    chain.watermark(chain.clock.watermark())
    collect()
    chain = between(chain)
  }
  chain.watermark(END_OF_TIME)
  atEnd(chain)
  collect()
  return output
}

/** Windows may fire later than the events that follow: only the order within a window counts. */
export const byWindow = (emits: readonly Emitted[]): Emitted[] => emits.toSorted((a, b) => a.start - b.start)
export interface Output {
  readonly emits: Emitted[]
  readonly late: Event[]
}
