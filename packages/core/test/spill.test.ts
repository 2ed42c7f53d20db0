import { describe, expect, test } from "bun:test"
import fc from "fast-check"
import type { Entry } from "../src/state/block.ts"
import { MemorySpill } from "../src/state/memorySpill.ts"
import type { PartitionState } from "../src/state/partition.ts"
import { SpillError, type SpillStore } from "../src/state/spill.ts"
import { blocksOf, merged, Chain as WindowChain } from "./harness.ts"
import {
  anyEvents as anyCalls,
  anyTimedEvents as anyTimedCalls,
  anyTtl,
  Chain as ProcessChain,
  type Ttl
} from "./processModel.ts"
import { byKey, expected as expectedCalls, run as runProcess } from "./processRuns.ts"
import { anyEvents, anySpec, byWindow, run as runWindow } from "./windowModel.ts"

/** More entries than there are. */
const ALL = 1_000_000

/** Something with state, as both kinds of chains are. */
interface Chain {
  readonly state: PartitionState
  readonly delta: () => Uint8Array
  readonly snapshot: () => Uint8Array
}

/** Ends a transaction: what it wrote, and all that is young grows old. Then some of the old leaves memory. */
const spill = (chain: Chain, store: SpillStore, limit: number): Uint8Array => {
  const changes = chain.delta()
  chain.state.age(store)
  chain.state.drain(limit)
  return changes
}

/** Brings state back, a block at a time; from the middle on with as little in memory as there may be. */
const restoredInto = <C extends Chain>(
  chain: C,
  store: SpillStore,
  checkpoint: Iterable<Entry>,
  size: number,
  log: Iterable<Uint8Array>
): C => {
  const relieve = () => {
    chain.state.age(store)
    chain.state.drain(2)
  }
  const blocks = blocksOf(checkpoint, size)
  for (const [i, block] of blocks.entries()) {
    chain.state.putBack(block)
    // What comes before memory is short stays as it came; it leaves like what comes later.
    if (i >= blocks.length / 2) relieve()
  }
  for (const changes of log) {
    chain.state.apply(changes)
    relieve()
    chain.state.apply(changes)
  }
  return chain
}

type Step = "none" | "spill some" | "spill all" | "checkpoint" | "restore"
const anySteps = fc.array(fc.constantFrom<Step>("none", "spill some", "spill all", "checkpoint", "restore"), {
  minLength: 1
})

/** Steps after events, in turn; answers with the chain to go on with. Checks that log, state and store agree. */
const steps = <C extends Chain>(turns: readonly Step[], fresh: () => C): ((chain: C) => C) => {
  let store = new MemorySpill()
  let checkpoint: Entry[] = []
  let log: Uint8Array[] = []
  let turn = 0
  return chain => {
    const step = turns[turn++ % turns.length]!
    if (step === "none") {
      chain.state.drain(1)
      return chain
    }
    log.push(spill(chain, store, step === "spill some" ? 3 : ALL))
    expect(merged([], [chain.snapshot()])).toEqual(merged(checkpoint, log))
    if (step === "checkpoint") {
      checkpoint = merged(checkpoint, log)
      log = []
    }
    if (step !== "restore") return chain
    store = new MemorySpill()
    return restoredInto(fresh(), store, checkpoint, 1 + (turn % 7), log)
  }
}

describe("windows with spilled state", () => {
  test("are what they are without", () => {
    fc.assert(
      fc.property(anyEvents, anySpec, anySteps, fc.boolean(), (events, spec, turns, sliced) => {
        const fresh = () => new WindowChain(spec, 20, sliced ? 0 : Number.POSITIVE_INFINITY)
        const step = steps(turns, fresh)
        const between = (chain: WindowChain) => {
          if (sliced) chain.window.proceed(1)
          const { emits, late } = chain.take()
          const next = step(chain)
          next.emitted.push(...emits)
          next.late.push(...late)
          return next
        }
        const atEnd = (chain: WindowChain) => {
          while (chain.window.pending) chain.window.proceed(1)
        }
        const seen = runWindow(fresh(), events, between, atEnd)
        const { emits, late } = runWindow(new WindowChain(spec, 20), events)
        expect(byWindow(seen.emits)).toEqual(byWindow(emits))
        expect(seen.late).toEqual(late)
      }),
      { numRuns: 150 }
    )
  })

  test("leave nothing in the store behind the end of the last one", () => {
    const chain = new WindowChain({ size: 10, offset: 0, allowedLateness: 0 })
    const store = new MemorySpill()
    for (let i = 0; i < 100; i++) chain.event({ key: `k${i}`, value: i, ts: i % 30 })
    spill(chain, store, ALL)
    expect(chain.window.memory.size()).toMatchObject({ keys: 100, spilledKeys: 100 })
    expect(store.scan(new Uint8Array(0), new Uint8Array(0), 1).length).toBe(1)
    chain.watermark(30)
    spill(chain, store, ALL)
    expect(chain.window.memory.size()).toMatchObject({ keys: 0, spilledKeys: 0, spilledBytes: 0 })
    expect(store.scan(new Uint8Array(0), new Uint8Array(0), 1)).toEqual([])
  })
})

describe("keyed state and timers, spilled", () => {
  const anyRun = fc.oneof(fc.tuple(fc.constant(true), anyCalls), fc.tuple(fc.constant(false), anyTimedCalls))
  test("do what the model does", () => {
    fc.assert(
      fc.property(anyRun, anyTtl, anySteps, ([sliced, events], ttl, turns) => {
        const fresh = () => new ProcessChain(ttl, sliced ? 0 : undefined)
        const step = steps(turns, fresh)
        const seen = runProcess(
          fresh(),
          events,
          chain => {
            if (sliced) chain.process.proceed(1)
            const calls = chain.seen.splice(0)
            const next = step(chain)
            next.clock.now = chain.clock.now
            next.seen.push(...calls)
            return next
          },
          sliced
        )
        expect(byKey(seen)).toEqual(byKey(expectedCalls(events, ttl)))
      }),
      { numRuns: 150 }
    )
  })

  test("fire in the order of time and registration, wherever they are", () => {
    const forever: Ttl = { value: undefined, list: undefined, map: undefined, sum: undefined }
    const chain = new ProcessChain(forever)
    const store = new MemorySpill()
    const register = (key: string, time: number) => chain.head.next({ key, ts: 0, ops: [{ do: "register", time }] }, 0)
    for (const key of ["d", "c", "b"]) register(key, 40)
    spill(chain, store, 2)
    register("a", 40)
    register("b", 30)
    spill(chain, store, 1)
    chain.seen.splice(0)
    chain.head.watermark(40)
    expect(chain.seen.map(({ key, at }) => `${key}${at}`)).toEqual(["b30", "d40", "c40", "b40", "a40"])
    spill(chain, store, ALL)
    // Timers are gone, and left no trace in the list of what is due.
    expect(chain.process.pending).toBe(false)
    chain.head.watermark(1_000)
    expect(chain.seen.length).toBe(5)
  })
})

test("an error of the store comes out as what it is, also from within a timer", () => {
  const chain = new ProcessChain({ value: undefined, list: undefined, map: undefined, sum: undefined })
  const broken = new MemorySpill()
  chain.head.next(
    {
      key: "a",
      ts: 0,
      ops: [
        { do: "set", n: 1 },
        { do: "register", time: 5 }
      ]
    },
    0
  )
  spill(chain, broken, ALL)
  const { scan } = broken
  let calls = 0
  broken.scan = (...range) => {
    // The timer itself comes back; what its function asks for does not.
    if (calls++ > 2) throw new SpillError("the disk is gone")
    return scan.apply(broken, range)
  }
  expect(() => chain.head.watermark(5)).toThrow(SpillError)
})
