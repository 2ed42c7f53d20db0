import { describe, expect, test } from "bun:test"
import { ByteWriter } from "../src/bytes.ts"
import { filter, flatMap, map } from "../src/operators/stateless.ts"
import { PartitionState } from "../src/state/partition.ts"
import { SourceClock } from "../src/time/sourceClock.ts"

const deltaOf = (state: PartitionState): Uint8Array => {
  const out = new ByteWriter()
  state.delta(out)
  return out.written().slice()
}

describe("partition state", () => {
  test("a source's clock survives a restart and never goes back", () => {
    const clock = new SourceClock("payments", 20)
    expect(clock.watermark()).toBe(Number.NEGATIVE_INFINITY)
    for (const ts of [100, 50, Number.NaN, 121]) clock.observe(ts)
    expect(clock.watermark()).toBe(100)
    const again = new SourceClock("payments", 20)
    new PartitionState([again]).apply(deltaOf(new PartitionState([clock])))
    again.observe(10)
    expect(again.watermark()).toBe(100)
  })

  test("an operator that the pipeline no longer has is named", () => {
    const changes = deltaOf(new PartitionState([new SourceClock("old", 0)]))
    expect(() => new PartitionState([new SourceClock("new", 0)]).apply(changes)).toThrow('"old"')
  })

  test("two operators of one id are refused", () => {
    expect(() => new PartitionState([new SourceClock("a", 0), new SourceClock("a", 0)])).toThrow("share a hash")
  })

  test("a descriptor of another id under the same hash is refused", () => {
    const changes = deltaOf(new PartitionState([new SourceClock("abc", 0)]))
    const at = changes.indexOf('"'.charCodeAt(0)) + 1
    changes[at] = "x".charCodeAt(0)
    expect(() => new PartitionState([new SourceClock("abc", 0)]).apply(changes)).toThrow('"xbc"')
  })

  test("state before its descriptor is refused: something is missing", () => {
    const clock = new SourceClock("a", 0)
    const state = new PartitionState([clock])
    deltaOf(state)
    clock.observe(5)
    const changes = deltaOf(state)
    expect(() => new PartitionState([new SourceClock("a", 0)]).apply(changes)).toThrow("descriptor")
  })
})

describe("stateless operators", () => {
  const collect = () => {
    const seen: unknown[] = []
    return {
      seen,
      next: (record: object, ts: number) => seen.push([record, ts]),
      watermark: (w: number) => seen.push(w)
    }
  }

  test("filter, map and flatMap keep order and event time, and pass watermarks on", () => {
    const output = collect()
    const chain = filter(
      (r: { n: number }) => r.n > 0,
      flatMap(
        (r: { n: number }) => [r, r],
        map((r: { n: number }) => ({ n: -r.n }), output)
      )
    )
    for (const n of [1, 0, 2]) chain.next({ n }, n * 10)
    chain.watermark(7)
    expect(output.seen).toEqual([[{ n: -1 }, 10], [{ n: -1 }, 10], [{ n: -2 }, 20], [{ n: -2 }, 20], 7])
  })
})
