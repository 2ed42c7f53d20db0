import fc from "fast-check"
import { ByteWriter } from "../src/bytes.ts"
import { type Key, keyed } from "../src/key.ts"
import { keyBy } from "../src/operators/keyBy.ts"
import { Process } from "../src/operators/process.ts"
import type { ProcessContext } from "../src/operators/processContext.ts"
import type { AggregatingHandle, ListHandle, MapHandle, StateSpec, ValueHandle } from "../src/state/handles.ts"
import { PartitionState } from "../src/state/partition.ts"
import { json } from "./json.ts"

/** What one call does to the state, by name, one after the other. */
export type Op =
  | (Do<"set" | "append" | "add"> & { readonly n: number })
  | (Do<"put"> & { readonly sub: Key; readonly n: number })
  | (Do<"delete"> & { readonly sub: Key })
  | Do<"clearValue" | "clearList" | "clearMap" | "clearSum">
  | (Do<"register" | "unregister" | "registerProcessing" | "unregisterProcessing"> & { readonly time: number })
type Do<Name> = Name extends string ? { readonly do: Name } : never

export interface Event {
  readonly key: Key
  readonly ts: number
  /** The wall clock when it comes; undefined: where it was. */
  readonly clock?: number
  readonly ops: readonly Op[]
}
export interface Ttl {
  readonly value: number | undefined
  readonly list: number | undefined
  readonly map: number | undefined
  readonly sum: number | undefined
}
/** What a call saw when it was done. */
export interface Seen {
  readonly key: Key
  readonly at: number
  readonly watermark: number
  readonly processingTime: number
  readonly timer: boolean
  readonly value: unknown
  readonly list: readonly unknown[]
  readonly map: readonly (readonly [Key, unknown])[]
  readonly sum: unknown
}

/** What a timer does depends on its time. Not for ever: each one that it registers is later, up to an end. */
const timerOps = (time: number): readonly Op[] => {
  const later: readonly Op[] = time < 300 ? [{ do: "register", time: time + 7 }] : []
  const kinds: readonly (readonly Op[])[] = [
    [{ do: "append", n: time }],
    [{ do: "clearList" }, ...later],
    [
      { do: "set", n: time },
      { do: "add", n: time }
    ],
    [
      { do: "put", sub: time, n: time },
      { do: "unregister", time: time + 3 }
    ]
  ]
  return kinds[Math.abs(time) % kinds.length]!
}

/** The same in processing time. */
const processingOps = (time: number): readonly Op[] => {
  const later: readonly Op[] = time < 300 ? [{ do: "registerProcessing", time: time + 7 }] : []
  const kinds: readonly (readonly Op[])[] = [
    [
      { do: "append", n: time },
      { do: "register", time }
    ],
    [{ do: "clearMap" }, ...later],
    [
      { do: "add", n: time },
      { do: "unregisterProcessing", time: time + 3 }
    ]
  ]
  return kinds[Math.abs(time) % kinds.length]!
}

type Context = ProcessContext<
  Key,
  {
    readonly value: ValueHandle<number>
    readonly list: ListHandle<number>
    readonly map: MapHandle<Key, number>
    readonly sum: AggregatingHandle<number, string>
  },
  Seen
>

const statesOf = (ttl: Ttl): Record<string, StateSpec> => ({
  value: { kind: "value", codec: json, ttlMs: ttl.value },
  list: { kind: "list", codec: json, ttlMs: ttl.list },
  map: { kind: "map", codec: json, ttlMs: ttl.map },
  sum: {
    kind: "aggregating",
    codec: json,
    ttlMs: ttl.sum,
    init: () => 0,
    add: (total: number, n: number) => total + n,
    result: (total: number) => `${total}`
  }
})

const apply = ({ state, timers, processingTimers }: Context, op: Op): void => {
  if (op.do === "set") state.value.set(op.n)
  else if (op.do === "append") state.list.append(op.n)
  else if (op.do === "add") state.sum.add(op.n)
  else if (op.do === "put") state.map.set(op.sub, op.n)
  else if (op.do === "delete") state.map.delete(op.sub)
  else if (op.do === "clearValue") state.value.clear()
  else if (op.do === "clearList") state.list.clear()
  else if (op.do === "clearMap") state.map.clear()
  else if (op.do === "clearSum") state.sum.clear()
  else if (op.do === "register") timers.register(op.time)
  else if (op.do === "unregister") timers.delete(op.time)
  else if (op.do === "registerProcessing") processingTimers.register(op.time)
  else processingTimers.delete(op.time)
}

/** A chain keyBy → process of one partition, with what its calls saw. */
export class Chain {
  readonly seen: Seen[] = []
  /** Watermarks as they came out, each with the number of calls before it. */
  readonly watermarks: [number, number][] = []
  readonly clock = { now: 0 }
  readonly process: Process
  readonly state: PartitionState
  readonly head

  constructor(ttl: Ttl, atOnce = Number.POSITIVE_INFINITY) {
    const key = keyed()
    const call = (ops: readonly Op[], context: Context, timer: boolean) => {
      for (const op of ops) apply(context, op)
      const { state, timestamp: at, watermark, processingTime } = context
      const [value, list, map, sum] = [state.value.get(), state.list.get(), state.map.entries(), state.sum.get()]
      context.emit({ key: context.key, at, watermark, processingTime, timer, value, list, map, sum })
    }
    this.process = new Process({
      id: "process",
      state: statesOf(ttl),
      onRecord: (event: Event, context: Context) => call(event.ops, context, false),
      onTimer: (time: number, context: Context) => call(timerOps(time), context, true),
      onProcessingTimer: (time: number, context: Context) => call(processingOps(time), context, true),
      clock: this.clock,
      key,
      atOnce,
      output: {
        next: seen => this.seen.push(seen as Seen),
        watermark: watermark => this.watermarks.push([watermark, this.seen.length])
      }
    })
    this.head = keyBy((event: Event) => event.key, key, this.process)
    this.state = new PartitionState([this.process])
  }

  delta(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.delta(out)
    return out.written().slice()
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.snapshot(out)
    return out.written().slice()
  }
}

interface Entry {
  readonly value: unknown
  readonly due: number
}
interface Timer {
  readonly key: Key
  readonly time: number
  readonly due: number
}

/** The naive model: state by key in plain maps, nothing is ever cleaned up, timers are looked for in a list. */
export class Model {
  readonly seen: Seen[] = []
  private readonly ttl: Ttl
  private readonly states = new Map<Key, Record<keyof Ttl, Map<Key, Entry>>>()
  private timers: Timer[] = []
  private processing: Timer[] = []
  /** The wall clock. */
  clock = 0
  private current = Number.NEGATIVE_INFINITY

  constructor(ttl: Ttl) {
    this.ttl = ttl
  }

  event(event: Event): void {
    for (let timer = this.due(event.key); timer !== undefined; timer = this.due(event.key)) this.fire(timer)
    this.call(event.key, event.ts, this.current, event.ops, false)
  }

  watermark(watermark: number): void {
    this.current = Math.max(this.current, watermark)
    for (let timer = this.due(); timer !== undefined; timer = this.due()) this.fire(timer)
  }

  /** What the wall clock brings, behind what is due in event time: nothing before that has begun. */
  tick(): void {
    for (;;) {
      this.watermark(this.current)
      const due = this.processing.filter(timer => timer.time <= this.clock).toSorted((a, b) => a.time - b.time)[0]
      if (due === undefined || this.current === Number.NEGATIVE_INFINITY) return
      this.processing = this.processing.filter(one => one !== due)
      this.call(due.key, this.current + 1, this.current, processingOps(due.time), true)
    }
  }

  private due(key?: Key): Timer | undefined {
    const due = this.timers.filter(
      timer => timer.due <= this.current && (key === undefined || Object.is(timer.key, key))
    )
    return due.toSorted((a, b) => a.due - b.due)[0]
  }

  private fire(timer: Timer): void {
    this.timers = this.timers.filter(one => one !== timer)
    this.call(timer.key, timer.time, timer.due, timerOps(timer.time), true)
  }

  private call(key: Key, at: number, watermark: number, ops: readonly Op[], timer: boolean): void {
    const now = Math.max(at, watermark)
    for (const op of ops) this.apply(key, now, watermark, op)
    const entries = (name: keyof Ttl) =>
      [...this.of(key)[name]].filter(([, { due }]) => due > now).map(([sub, { value }]) => [sub, value] as const)
    const value = entries("value")[0]?.[1]
    const list = entries("list").map(([, one]) => one)
    const sum = entries("sum")[0]?.[1]
    const map = entries("map").toSorted(([a], [b]) =>
      typeof a === typeof b ? (a < b ? -1 : 1) : typeof a < typeof b ? -1 : 1
    )
    this.seen.push({
      key,
      at,
      watermark,
      processingTime: this.clock,
      timer,
      value,
      list,
      map,
      sum: sum === undefined ? undefined : `${sum}`
    })
  }

  private apply(key: Key, now: number, watermark: number, op: Op): void {
    const state = this.of(key)
    const put = (name: keyof Ttl, sub: Key, value: unknown) => {
      const due = Math.max(now + (this.ttl[name] ?? Infinity), state[name].get(sub)?.due ?? -Infinity)
      state[name].set(sub, { value, due })
    }
    const before = state.sum.get(0)
    const isTimer = (timer: Timer) => op.do !== "register" || !Object.is(timer.key, key) || timer.time !== op.time
    if (op.do === "set") put("value", 0, op.n)
    else if (op.do === "append") put("list", Math.max(-1, ...(state.list.keys() as Iterable<number>)) + 1, op.n)
    else if (op.do === "add")
      put("sum", 0, (before !== undefined && before.due > now ? (before.value as number) : 0) + op.n)
    else if (op.do === "put") put("map", op.sub, op.n)
    else if (op.do === "delete") state.map.delete(op.sub)
    else if (op.do === "clearValue") state.value.clear()
    else if (op.do === "clearList") state.list.clear()
    else if (op.do === "clearMap") state.map.clear()
    else if (op.do === "clearSum") state.sum.clear()
    else if (op.do === "unregisterProcessing")
      this.processing = this.processing.filter(one => !Object.is(one.key, key) || one.time !== op.time)
    else if (op.do === "registerProcessing") {
      if (this.processing.every(one => !Object.is(one.key, key) || one.time !== op.time))
        this.processing.push({ key, time: op.time, due: op.time })
    } else if (op.do === "unregister")
      this.timers = this.timers.filter(one => !Object.is(one.key, key) || one.time !== op.time)
    else if (this.timers.every(isTimer)) this.timers.push({ key, time: op.time, due: Math.max(op.time, watermark) })
  }

  private of(key: Key): Record<keyof Ttl, Map<Key, Entry>> {
    const present = this.states.get(key)
    if (present !== undefined) return present
    const state = { value: new Map(), list: new Map(), map: new Map(), sum: new Map() }
    this.states.set(key, state)
    return state
  }
}

const anySub = fc.constantFrom<Key>("", "a", "ä", 0, 1.5, -3, 7n, -200n)
const anyNumber = fc.integer({ min: -9, max: 9 })
const anyTime = fc.integer({ min: -50, max: 250 })
const anyOp: fc.Arbitrary<Op> = fc.oneof(
  fc.record({ do: fc.constantFrom("set" as const, "append" as const, "add" as const), n: anyNumber }),
  fc.record({ do: fc.constant("append" as const), n: anyNumber }),
  fc.record({ do: fc.constant("put" as const), sub: anySub, n: anyNumber }),
  fc.record({ do: fc.constant("delete" as const), sub: anySub }),
  fc.record({
    do: fc.constantFrom("clearValue" as const, "clearList" as const, "clearMap" as const, "clearSum" as const)
  }),
  fc.record({ do: fc.constantFrom("register" as const, "register" as const, "unregister" as const), time: anyTime })
)

const anyProcessingOp: fc.Arbitrary<Op> = fc.record({
  do: fc.constantFrom("registerProcessing" as const, "registerProcessing" as const, "unregisterProcessing" as const),
  time: anyTime
})

const eventsOf = (op: fc.Arbitrary<Op>, clock: fc.Arbitrary<number>): fc.Arbitrary<readonly Event[]> =>
  fc
    .constantFrom<readonly Key[]>(["a", "b", "", "ä💶", "key-of-some-length-0"], [0, 1.5, -7, NaN], [0n, 5n, -300n])
    .chain(keys =>
      fc.array(
        fc.record({
          key: fc.constantFrom(...keys),
          ts: anyTime,
          clock,
          ops: fc.array(op, { minLength: 1, maxLength: 4 })
        }),
        { maxLength: 40 }
      )
    )

export const anyEvents = eventsOf(anyOp, fc.constant(0))
/** With timers in processing time, and a wall clock that goes on and is set back. */
export const anyTimedEvents = eventsOf(fc.oneof(anyOp, anyProcessingOp), anyTime)

const anyLife = fc.option(fc.integer({ min: 1, max: 60 }), { nil: undefined })
export const anyTtl: fc.Arbitrary<Ttl> = fc.record({ value: anyLife, list: anyLife, map: anyLife, sum: anyLife })
