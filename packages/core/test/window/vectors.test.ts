import { describe, expect, test } from "bun:test"
import continuous from "../../../../test/vectors/windows/window-continuous.json"
import cumulate from "../../../../test/vectors/windows/window-cumulate.json"
import global from "../../../../test/vectors/windows/window-global.json"
import session from "../../../../test/vectors/windows/window-session.json"
import dynamic from "../../../../test/vectors/windows/window-session-dynamic.json"
import sliding from "../../../../test/vectors/windows/window-sliding.json"
import tumbling from "../../../../test/vectors/windows/window-tumbling.json"
import type { Aggregate } from "../../src/aggregate.ts"
import { ByteWriter } from "../../src/bytes.ts"
import { keyed } from "../../src/key.ts"
import { END_OF_TIME } from "../../src/operator.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { aggregated } from "../../src/operators/window/aggregated.ts"
import type { WindowAssigner } from "../../src/operators/window/assigner.ts"
import { last } from "../../src/operators/window/evictor.ts"
import { KeyedWindow } from "../../src/operators/window/keyedWindow.ts"
import * as Trigger from "../../src/operators/window/trigger.ts"
import { blockOf } from "../../src/state/block.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { scalarCodec } from "../../src/state/scalar.ts"
import { merged } from "../harness.ts"

type Row = Readonly<Record<string, unknown>>
interface Event {
  readonly key: string
  readonly value: number
  readonly ts: number
  readonly gap?: number
}
interface Step {
  readonly event?: Event
  readonly watermark?: number | "max"
  readonly restore?: boolean
  readonly emits: readonly Row[]
  readonly late: readonly Row[]
}
interface Case {
  readonly name: string
  readonly spec: {
    readonly assigner: Record<string, unknown> & { type: string }
    readonly trigger: null | { type: string; n?: number; interval?: number; purge?: boolean }
    readonly evictor?: { readonly n: number }
    readonly allowedLateness: number
  }
  readonly steps: readonly Step[]
}

const of = (event: Event): number => event.value
const aggregates: Readonly<Record<string, Aggregate>> = {
  count: { kind: "count" },
  sum: { kind: "sum", of },
  min: { kind: "min", of },
  max: { kind: "max", of },
  list: { kind: "collect", of, codec: scalarCodec }
}

const assignerOf = ({ type, size, slide, step, offset, gap }: Readonly<Record<string, never>>): WindowAssigner => {
  switch (type as unknown as string) {
    case "tumbling":
      return { kind: "tumbling", sizeMs: size!, offsetMs: offset! }
    case "sliding":
      return { kind: "sliding", sizeMs: size!, slideMs: slide!, offsetMs: offset! }
    case "cumulate":
      return { kind: "cumulative", sizeMs: size!, stepMs: step!, offsetMs: offset! }
    case "session":
      return { kind: "session", gapMs: gap! }
    case "session-dynamic":
      return { kind: "session", gapMs: (event: Event) => event.gap! }
    default:
      return { kind: "global" }
  }
}

const triggerOf = (trigger: Case["spec"]["trigger"]): Trigger.Trigger => {
  const made = () => {
    switch (trigger?.type) {
      case "count":
        return Trigger.count(trigger.n!)
      case "continuous-event-time":
        return Trigger.continuous(trigger.interval!)
      case "end-of-stream":
        return Trigger.endOfStream
      default:
        return Trigger.eventTime
    }
  }
  return trigger?.purge === true ? Trigger.purging(made()) : made()
}

class Chain {
  readonly emitted: Row[] = []
  readonly late: Row[] = []
  readonly window: KeyedWindow
  readonly state: PartitionState
  readonly head

  constructor(spec: Case["spec"], folded: boolean) {
    const key = keyed()
    const { list, ...others } = aggregates
    this.window = new KeyedWindow({
      id: "window",
      assigner: assignerOf(spec.assigner as never),
      trigger: triggerOf(spec.trigger),
      allowedLatenessMs: spec.allowedLateness,
      contents: aggregated({
        id: "window",
        aggregates: folded ? others : aggregates,
        evictor: spec.evictor === undefined ? undefined : last(spec.evictor.n)
      }),
      what: "test",
      key,
      output: {
        next: (record, ts) => {
          const { windowStart: start, windowEnd: end, ...rest } = record as Record<string, unknown>
          this.emitted.push({ ...rest, start, end, ts: ts === END_OF_TIME ? "max" : ts })
        },
        watermark: () => {}
      },
      late: { next: (record, ts) => this.late.push({ ...(record as Event), ts }), watermark: () => {} }
    })
    this.head = keyBy((event: Event) => event.key, key, this.window)
    this.state = new PartitionState([this.window])
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.snapshot(out)
    return out.written().slice()
  }
}

const FIELDS = ["key", "start", "end", "ts", "count", "sum", "min", "max", "list"]
const multiset = (rows: readonly Row[], fields: readonly string[], sortList: boolean): string[] =>
  rows
    .map(row =>
      JSON.stringify(
        fields.map(field => {
          const value = row[field]
          return sortList && Array.isArray(value) ? value.toSorted() : value
        })
      )
    )
    .sort()

const check = ({ spec, steps }: Case, folded: boolean, everyStep: boolean): void => {
  const fields = folded ? FIELDS.slice(0, -1) : FIELDS
  const sessions = spec.assigner.type.startsWith("session")
  let chain = new Chain(spec, folded)
  for (const [i, step] of steps.entries()) {
    if (step.event !== undefined) chain.head.next(step.event, step.event.ts)
    if (step.watermark !== undefined) chain.head.watermark(step.watermark === "max" ? END_OF_TIME : step.watermark)
    expect([i, multiset(chain.emitted.splice(0), fields, sessions)]).toEqual([
      i,
      multiset(step.emits, fields, sessions)
    ])
    expect(multiset(chain.late.splice(0), ["key", "value", "ts"], false)).toEqual(
      multiset(step.late, ["key", "value", "ts"], false)
    )
    if (!everyStep && step.restore !== true) continue
    const again = new Chain(spec, folded)
    again.state.putBack(blockOf(merged([], [chain.snapshot()])))
    chain = again
  }
}

const files = { tumbling, sliding, cumulate, session, dynamic, global, continuous }
for (const [kind, cases] of Object.entries(files))
  describe(`Flink's windows: ${kind}`, () => {
    for (const one of cases as unknown as readonly Case[]) {
      test(`${one.name}, of elements`, () => check(one, false, false))
      test(`${one.name}, of elements, restored each step`, () => check(one, false, true))
      if (one.spec.evictor !== undefined) continue
      test(`${one.name}, folded`, () => check(one, true, false))
      test(`${one.name}, folded, restored each step`, () => check(one, true, true))
    }
  })
