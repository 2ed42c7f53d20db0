// What each operator costs, by the number of keys: `bun packages/core/bench/operators.ts [operator]`. Each case runs in a
// process of its own; times are CPU times, so that a busy machine disturbs them little. A line a case as they come.
import type { Aggregate } from "../src/aggregate.ts"
import { ByteWriter } from "../src/bytes.ts"
import type { StoredCodec } from "../src/codec.ts"
import { keyed, STRING_KEY } from "../src/key.ts"
import type { Input, Stateful } from "../src/operator.ts"
import { Deduplicate } from "../src/operators/deduplicate.ts"
import { GridWindow } from "../src/operators/gridWindow.ts"
import { IntervalJoin } from "../src/operators/join/intervalJoin.ts"
import type { JoinSide, TwoInputs } from "../src/operators/join/sides.ts"
import { TableJoin } from "../src/operators/join/tableJoin.ts"
import { TemporalJoin } from "../src/operators/join/temporalJoin.ts"
import { type Pairing, WindowJoin } from "../src/operators/join/windowJoin.ts"
import { Process } from "../src/operators/process.ts"
import type { ProcessContext } from "../src/operators/processContext.ts"
import { aggregated } from "../src/operators/window/aggregated.ts"
import type { WindowAssigner } from "../src/operators/window/assigner.ts"
import { last } from "../src/operators/window/evictor.ts"
import type { GridAssigner } from "../src/operators/window/grid.ts"
import { KeyedWindow } from "../src/operators/window/keyedWindow.ts"
import { count, eventTime, purging } from "../src/operators/window/trigger.ts"
import type { ValueHandle } from "../src/state/handles.ts"

const SECOND = 1000
const EVENTS = 1_000_000
/** Events a second of event time: all of them are half a minute long behind the first minute. */
const RATE = EVENTS / 90
const POLL = 1_000
const COMMIT = 20_000
const KEY_BYTES = 16
const KEYS = [1, 1_000, 1_000_000]

interface Payment {
  readonly cents: number
}
interface Case {
  readonly operator: Stateful
  /** Events go to each in turn. */
  readonly inputs: readonly Input[]
}

const key = keyed()
let results = 0
const output: Input = { next: () => results++, watermark: () => {} }
const cents = (payment: Payment): number => payment.cents
const aggregates: Readonly<Record<string, Aggregate>> = {
  payments: { kind: "count" },
  spent: { kind: "sum", of: cents },
  least: { kind: "min", of: cents },
  most: { kind: "max", of: cents }
}
const codec: StoredCodec = {
  write: (payment, out) => out.f64((payment as Payment).cents),
  read: (bytes, start, end) => ({
    cents: new DataView(bytes.buffer, bytes.byteOffset + start, end - start).getFloat64(0)
  })
}

const base = { id: "bench", key, output, late: undefined, allowedLatenessMs: 0, aggregates }
const single = (operator: Stateful & Input): Case => ({ operator, inputs: [operator] })
const grid = (assigner: GridAssigner) => () => single(new GridWindow({ ...base, assigner }))
const own =
  (assigner: WindowAssigner, trigger = eventTime, contents: Partial<Parameters<typeof aggregated>[0]> = {}) =>
  () =>
    single(
      new KeyedWindow({ ...base, assigner, trigger, contents: aggregated({ ...base, ...contents }), what: "bench" })
    )
const side: JoinSide = { key, codec }
const sides = { ...base, left: side, right: side }
const combine = (left: Payment): object => ({ cents: left.cents })
const both = (operator: Stateful & TwoInputs): Case => ({ operator, inputs: [operator.left, operator.right] })
const inWindow = (pairing: Pairing) => () =>
  both(
    new WindowJoin({
      ...sides,
      assigner: { kind: "tumbling", sizeMs: 1, offsetMs: 0 },
      trigger: eventTime,
      pairing
    })
  )
type Sum = ProcessContext<string, { readonly sum: ValueHandle<Payment> }, object>
/** A sum of each key, and a timer that gives it out a minute after the first event. */
const processing = (): Case =>
  single(
    new Process({
      ...base,
      state: { sum: { kind: "value", codec, ttlMs: undefined } },
      clock: { now: 0 },
      onRecord: ({ cents }: Payment, { state, timers, timestamp }: Sum) => {
        const sum = state.sum.get()
        if (sum === undefined) timers.register(timestamp + 60 * SECOND)
        state.sum.set({ cents: cents + (sum?.cents ?? 0) })
      },
      onTimer: (_: number, { state, emit }: Sum) => {
        emit(state.sum.get()!)
        state.sum.clear()
      },
      onProcessingTimer: undefined
    })
  )

const CASES: Readonly<Record<string, () => Case>> = {
  tumbling: grid({ kind: "tumbling", sizeMs: SECOND, offsetMs: 0 }),
  "tumbling, a minute": grid({ kind: "tumbling", sizeMs: 60 * SECOND, offsetMs: 0 }),
  "sliding, 60 panes": grid({ kind: "sliding", sizeMs: 60 * SECOND, slideMs: SECOND, offsetMs: 0 }),
  "cumulative, 60 panes": grid({ kind: "cumulative", sizeMs: 60 * SECOND, stepMs: SECOND, offsetMs: 0 }),
  "calendar day": grid({ kind: "calendar", unit: "day", timeZone: "Europe/Berlin" }),
  session: own({ kind: "session", gapMs: 3_600 * SECOND }),
  "session that ends": own({ kind: "session", gapMs: SECOND }),
  "each 10 events": own({ kind: "global" }, purging(count(10))),
  "the last 5, each 10": own({ kind: "global" }, count(10), { evictor: last(5) }),
  "taken back": own({ kind: "tumbling", sizeMs: SECOND, offsetMs: 0 }, eventTime, { retracts: true }),
  process: processing,
  deduplicate: () => single(new Deduplicate({ ...base, keep: "first", emit: "changes", codec, late: undefined })),
  "interval join": () => both(new IntervalJoin({ ...sides, lowerMs: 0, upperMs: 1, type: "inner", combine })),
  "window join": inWindow({ kind: "join", type: "inner", combine }),
  "co-group": inWindow({ kind: "coGroup", combine: (left: readonly Payment[]) => ({ n: left.length }) }),
  "temporal join": () => {
    const join = new TemporalJoin({ ...sides, isDeleted: () => false, type: "left", combine })
    return { operator: join, inputs: [join.right, join.left] }
  },
  "table join": () => {
    const isDeleted = { left: () => false, right: () => false }
    const join = new TableJoin({ ...sides, kind: "stream", type: "left", isDeleted, combine })
    return { operator: join, inputs: [join.right, join.left] }
  }
}

const cpuNs = (): number => {
  const { user, system } = process.cpuUsage()
  return (user + system) * 1_000
}

const measure = (name: string, keys: number) => {
  const arena = new Uint8Array(keys * KEY_BYTES)
  for (let i = 0; i < keys; i++)
    new TextEncoder().encodeInto(`acc-${String(i).padStart(12, "0")}`, arena.subarray(i * KEY_BYTES))
  const before = process.memoryUsage.rss()
  const { operator, inputs } = CASES[name]!()
  const out = new ByteWriter(1 << 20)
  Object.assign(key, { bytes: arena, kind: STRING_KEY })
  const spent = { events: 0, firing: 0, deltas: 0 }
  let largest = { keys: 0, bytes: 0 }
  const timed = (what: keyof typeof spent, work: () => void) => {
    const begin = cpuNs()
    work()
    spent[what] += cpuNs() - begin
  }
  const poll = (from: number) => {
    for (let i = from; i < from + POLL; i++) {
      key.start = ((Math.floor(i / inputs.length) * 7_919) % keys) * KEY_BYTES
      key.end = key.start + KEY_BYTES
      inputs[i % inputs.length]!.next({ cents: i & 1_023 }, Math.floor((i * SECOND) / RATE))
    }
  }
  const commit = () => {
    out.clear()
    operator.delta(out)
  }
  for (let i = 0; i < EVENTS; i += POLL) {
    timed("events", () => poll(i))
    const size = operator.memory.size()
    if (size.bytes > largest.bytes) largest = { keys: Math.max(1, size.keys), bytes: size.bytes }
    const watermark = Math.floor(((i + POLL) * SECOND) / RATE) - 1
    timed("firing", () => {
      for (const input of inputs) input.watermark(watermark)
    })
    if ((i + POLL) % COMMIT === 0) timed("deltas", commit)
  }
  Bun.gc(true)
  const perEvent = (ns: number) => Math.round(ns / EVENTS)
  return {
    operator: name,
    keys,
    "ns/event": perEvent(spent.events),
    "results/event": Number((results / EVENTS).toFixed(2)),
    "ns/result": Math.round(spent.firing / Math.max(1, results)),
    "delta ns/event": perEvent(spent.deltas),
    "state keys": largest.keys,
    "bytes/key": Math.round(largest.bytes / largest.keys),
    "RSS MB": Math.round((process.memoryUsage.rss() - before) / 1e6)
  }
}

const [only, ofKeys] = process.argv.slice(2)
if (ofKeys !== undefined) console.log(JSON.stringify(measure(only!, Number(ofKeys))))
else
  for (const name of Object.keys(CASES).filter(one => only === undefined || one === only))
    for (const keys of KEYS) {
      const { stdout, success } = Bun.spawnSync([process.execPath, import.meta.path, name, String(keys)], {
        stderr: "inherit"
      })
      if (!success) throw new Error(`The case "${name}" of ${keys} keys failed`)
      const row: object = JSON.parse(stdout.toString())
      console.log(
        Object.entries(row)
          .map(([column, value]) => (column === "operator" ? String(value).padEnd(22) : `${column} ${value}`))
          .join("  ")
      )
    }
