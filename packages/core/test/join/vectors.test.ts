import { describe, expect, test } from "bun:test"
import dedup from "../../../../test/vectors/windows/dedup.json"
import interval from "../../../../test/vectors/windows/interval-join.json"
import temporal from "../../../../test/vectors/windows/temporal-join.json"
import coGroup from "../../../../test/vectors/windows/window-cogroup.json"
import join from "../../../../test/vectors/windows/window-join.json"
import { ByteWriter } from "../../src/bytes.ts"
import { keyed } from "../../src/key.ts"
import { END_OF_TIME, type Input, type Stateful } from "../../src/operator.ts"
import { Deduplicate } from "../../src/operators/deduplicate.ts"
import { IntervalJoin } from "../../src/operators/join/intervalJoin.ts"
import type { JoinSide, Side } from "../../src/operators/join/sides.ts"
import { TemporalJoin } from "../../src/operators/join/temporalJoin.ts"
import { WindowJoin } from "../../src/operators/join/windowJoin.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import type { WindowAssigner } from "../../src/operators/window/assigner.ts"
import { eventTime } from "../../src/operators/window/trigger.ts"
import { blockOf } from "../../src/state/block.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { merged } from "../harness.ts"
import { json as codec } from "../json.ts"

type Row = Readonly<Record<string, unknown>>
interface Event {
  readonly key: string
  readonly value: number
  readonly ts: number
  readonly side?: Side
  readonly op?: "delete"
}
interface Step {
  readonly event?: Event
  readonly watermark?: number | "max"
  readonly side?: Side
  readonly restore?: boolean
  readonly emits: readonly Row[]
  readonly late?: readonly Row[]
}
interface Spec {
  readonly keep: "first" | "last"
  readonly emit: "changelog" | "watermark"
  readonly join?: {
    readonly type: string
    readonly lower: number
    readonly upper: number
    readonly lowerInclusive: boolean
    readonly upperInclusive: boolean
  }
  readonly assigner: Readonly<Record<string, never>>
  readonly allowedLateness: number
}
interface Case {
  readonly name: string
  readonly spec: Spec
  readonly steps: readonly Step[]
}

const assignerOf = ({ type, size, slide, offset, gap }: Record<string, never>): WindowAssigner => {
  if ((type as unknown as string) === "session") return { kind: "session", gapMs: gap! }
  if ((type as unknown as string) === "sliding")
    return { kind: "sliding", sizeMs: size!, slideMs: slide!, offsetMs: offset! }
  return { kind: "tumbling", sizeMs: size!, offsetMs: offset! }
}

const pair = (left: Event | undefined, right: Event | undefined) => ({
  key: (left ?? right)?.key,
  left: left?.value ?? null,
  right: right?.value ?? null,
  leftTs: left?.ts ?? null,
  rightTs: right?.ts ?? null
})

type Built = Stateful & { readonly left?: Input; readonly right?: Input } & Partial<Input>

const build = (spec: Spec, left: JoinSide, right: JoinSide, output: Input): Built => {
  const base = { id: "join", output, left, right }
  const { join: how } = spec
  switch (how?.type) {
    case "interval":
      return new IntervalJoin({
        ...base,
        lowerMs: how.lower + (how.lowerInclusive ? 0 : 1),
        upperMs: how.upper - (how.upperInclusive ? 0 : 1),
        type: "inner",
        combine: pair
      })
    case "window-inner":
    case "window-cogroup":
      return new WindowJoin({
        ...base,
        assigner: assignerOf(spec.assigner),
        trigger: eventTime,
        allowedLatenessMs: spec.allowedLateness,
        pairing:
          how.type === "window-inner"
            ? { kind: "join", type: "inner", combine: pair }
            : {
                kind: "coGroup",
                combine: (one: readonly Event[], other: readonly Event[], key: string) => ({
                  key,
                  left: one.map(({ value }) => value),
                  right: other.map(({ value }) => value)
                })
              }
      })
    case "temporal-inner":
    case "temporal-left":
      return new TemporalJoin({
        ...base,
        isDeleted: (version: Event) => version.op === "delete",
        type: how.type === "temporal-left" ? "left" : "inner",
        combine: pair
      })
    default:
      return new Deduplicate({
        id: "join",
        output,
        keep: spec.keep,
        emit: spec.emit === "watermark" ? "once" : "changes",
        key: left.key,
        codec,
        late: left.late
      })
  }
}

class Chain {
  readonly emitted: Row[] = []
  readonly late: Row[] = []
  readonly state: PartitionState
  readonly heads: Readonly<Record<Side, Input>>

  constructor(spec: Spec) {
    const late: Input = { next: (event, ts) => this.late.push({ ...(event as Event), ts }), watermark: () => {} }
    const left = { key: keyed(), codec, late }
    const right = { key: keyed(), codec, late }
    const operator = build(spec, left, right, { next: (record, ts) => this.emit(record, ts), watermark: () => {} })
    const own = keyBy((event: Event) => event.key, left.key, operator.left ?? (operator as unknown as Input))
    const other = operator.right && keyBy((event: Event) => event.key, right.key, operator.right)
    this.heads = { left: own, right: other ?? own }
    this.state = new PartitionState([operator])
  }

  private emit(record: object, ts: number): void {
    const change = record as { readonly op?: string; readonly record?: Event }
    const { side: _, ...row } = {
      op: "+I",
      ...(change.record === undefined ? record : { ...change.record, op: change.op })
    } as Row
    this.emitted.push({ ...row, ts })
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.snapshot(out)
    return out.written().slice()
  }
}

/** With the fields that the expected ones have, in a fixed order. */
const multiset = (rows: readonly Row[], fields: readonly string[], ordered: boolean): readonly string[] => {
  const texts = rows.map(row =>
    JSON.stringify(
      fields.map(field => (Array.isArray(row[field]) ? (row[field] as number[]).toSorted() : (row[field] ?? null)))
    )
  )
  return ordered ? texts : texts.sort()
}

const fieldsOf = ({ steps }: Case): readonly string[] =>
  [...new Set(steps.flatMap(step => step.emits.flatMap(row => Object.keys(row))))].sort()

const sides = ["left", "right"] as const

const check = (one: Case, everyStep: boolean): void => {
  const { spec, steps } = one
  const fields = fieldsOf(one)
  const isDedup = spec.join === undefined
  let chain = new Chain(spec)
  const watermarks: Partial<Record<Side, number>> = {}
  for (const [i, step] of steps.entries()) {
    if (step.event !== undefined) chain.heads[step.event.side ?? "left"].next(step.event, step.event.ts)
    if (step.watermark !== undefined)
      for (const side of step.side === undefined ? sides : [step.side]) {
        watermarks[side] = step.watermark === "max" ? END_OF_TIME : step.watermark
        chain.heads[side].watermark(watermarks[side])
      }
    expect([i, multiset(chain.emitted.splice(0), fields, isDedup)]).toEqual([i, multiset(step.emits, fields, isDedup)])
    expect([i, multiset(chain.late.splice(0), ["key", "value", "ts"], false)]).toEqual([
      i,
      multiset(step.late ?? [], ["key", "value", "ts"], false)
    ])
    if (!everyStep && step.restore !== true) continue
    const again = new Chain(spec)
    again.state.putBack(blockOf(merged([], [chain.snapshot()])))
    chain = again
    for (const side of sides) if (watermarks[side] !== undefined) chain.heads[side].watermark(watermarks[side])
    expect(chain.emitted).toEqual([])
  }
}

const files = { interval, join, coGroup, temporal, dedup }
for (const [kind, cases] of Object.entries(files))
  describe(`Flink's results: ${kind}`, () => {
    for (const one of cases as unknown as readonly Case[]) {
      test(one.name, () => check(one, false))
      test(`${one.name}, restored each step`, () => check(one, true))
    }
  })

test("late events of a window join go where those of their side go, or are counted as dropped", () => {
  const key = keyed()
  const late: object[] = []
  const left = { key, codec, late: { next: (record: object) => late.push(record), watermark: () => {} } }
  const spec = {
    join: { type: "window-inner" },
    assigner: { type: "tumbling", size: 10, offset: 0 },
    allowedLateness: 0
  }
  const nowhere = { next: () => {}, watermark: () => {} }
  const join = build(spec as never, left, { key, codec, late: undefined }, nowhere) as WindowJoin
  for (const side of ["left", "right"] as const) {
    const input = keyBy((event: Event) => event.key, key, join[side])
    input.watermark(20)
    input.next({ key: "a", side }, 5)
  }
  const input = keyBy((event: Event) => event.key, key, join.left)
  input.next({ key: "a", side: "left", again: true }, 5)
  expect(late).toEqual([{ key: "a", side: "left", again: true }])
  expect([join.lates.left, join.lates.right].map(({ count, dropped }) => [count, dropped])).toEqual([
    [1, 0],
    [1, 1]
  ])
})
