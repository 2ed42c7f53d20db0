/** One of each step that keeps state by key and goes by event time, and a partition that has one. */
import {
  aggregated,
  type Condition,
  continuous,
  count,
  Deduplicate,
  type Entry,
  eventTime,
  type Input,
  IntervalJoin,
  type Keyed,
  KeyedWindow,
  keyBy,
  keyed,
  last,
  PartitionState,
  PatternMatch,
  Process,
  processDefinition,
  type StateDefinition,
  type Stateful,
  TemporalJoin,
  WindowJoin
} from "../src/index.ts"
import { blockOf } from "../src/state/block.ts"
import { json } from "./json.ts"
import { entriesOf } from "./rescaling.ts"

export interface Event {
  readonly key: string
  readonly ts: number
  readonly value: number
}

interface Step extends Stateful {
  readonly pending: boolean
  readonly proceed: (limit: number) => number
}
interface Made {
  readonly step: Step
  readonly input: Input
  readonly definition: StateDefinition
}
interface Outputs {
  readonly output: Input
  readonly late: Input
  readonly key: Keyed
  readonly atOnce: number
}
export type Make = (outputs: Outputs) => Made

/** Even values are events of the left side, odd ones of the right. */
const sided = ({ left, right }: { readonly left: Input; readonly right: Input }): Input => ({
  next: (record, ts) => ((record as Event).value % 2 === 0 ? left : right).next(record, ts),
  watermark: watermark => {
    left.watermark(watermark)
    right.watermark(watermark)
  }
})
const one = <S extends Step & Input & { readonly definition: StateDefinition }>(step: S): Made => ({
  step,
  input: step,
  definition: step.definition
})
const two = <S extends Step & { readonly left: Input; readonly right: Input; readonly definition: StateDefinition }>(
  step: S
): Made => ({ step, input: sided(step), definition: step.definition })

export const id = "step"
const of = (event: Event): number => event.value
const pair = (left: Event | undefined, right: Event | undefined) => ({ left: left ?? null, right: right ?? null })
const SUM = { sum: { kind: "sum", of }, n: { kind: "count" } } as const
export const GAP_MS = 8
const session = { kind: "session", gapMs: GAP_MS } as const
const sliding = { kind: "sliding", sizeMs: 20, slideMs: 10, offsetMs: 0 } as const

const windowed =
  (options: Pick<ConstructorParameters<typeof KeyedWindow>[0], "assigner" | "trigger" | "allowedLatenessMs">): Make =>
  outputs =>
    one(new KeyedWindow({ ...outputs, ...options, id, what: "test", contents: aggregated({ id, aggregates: SUM }) }))
const sides = ({ key, late }: Outputs) => ({ left: { key, codec: json, late }, right: { key, codec: json, late } })

const is = (test: (value: number) => boolean): Condition => ({
  kind: "test",
  test: (event: Event) => test(event.value)
})

export const STEPS: Readonly<Record<string, Make>> = {
  sessions: windowed({ assigner: session, trigger: eventTime, allowedLatenessMs: 0 }),
  "sessions that wait": windowed({ assigner: session, trigger: eventTime, allowedLatenessMs: 15 }),
  "windows that fire by count": windowed({ assigner: sliding, trigger: count(2), allowedLatenessMs: 10 }),
  "windows that fire on and on": windowed({ assigner: sliding, trigger: continuous(3), allowedLatenessMs: 4 }),
  "windows with an evictor": outputs =>
    one(
      new KeyedWindow({
        ...outputs,
        id,
        what: "test",
        assigner: sliding,
        trigger: eventTime,
        allowedLatenessMs: 12,
        contents: aggregated({ id, aggregates: SUM, evictor: last(2) })
      })
    ),
  "a window join that takes back": outputs =>
    two(
      new WindowJoin({
        ...outputs,
        ...sides(outputs),
        id,
        assigner: session,
        trigger: eventTime,
        allowedLatenessMs: 10,
        pairing: { kind: "join", type: "full", combine: pair },
        retracts: true
      })
    ),
  "an interval join": outputs =>
    two(new IntervalJoin({ ...outputs, ...sides(outputs), id, lowerMs: -3, upperMs: 8, type: "full", combine: pair })),
  "a temporal join": outputs =>
    two(new TemporalJoin({ ...outputs, ...sides(outputs), id, type: "left", isDeleted: () => false, combine: pair })),
  "the first of each key": outputs =>
    one(new Deduplicate({ ...outputs, id, codec: json, keep: "first", emit: "once", ttlMs: 20 })),
  "the last of each key": outputs =>
    one(new Deduplicate({ ...outputs, id, codec: json, keep: "last", emit: "changes", ttlMs: 5 })),
  patterns: outputs =>
    one(
      new PatternMatch({
        ...outputs,
        id,
        what: "test",
        codec: json,
        timeouts: outputs.output,
        patterns: [
          {
            id: "pair",
            what: "test",
            pattern: {
              steps: [
                { name: "a", where: is(value => value < 5) },
                { name: "b", contiguity: "followedBy", where: is(value => value >= 5) }
              ],
              withinMs: 20,
              skip: { kind: "none" }
            },
            select: (match: object) => ({ match }),
            selectTimeout: (match: object) => ({ timeout: match })
          }
        ]
      })
    ),
  "a process step": outputs => {
    const state = { sum: { kind: "value", codec: json, ttlMs: 15 } } as const
    const step = new Process({
      ...outputs,
      id,
      state,
      onRecord: (event: Event, context: never) => {
        const { timers, watermark, emit, state } = context as {
          readonly timers: { readonly register: (time: number) => void }
          readonly watermark: number
          readonly emit: (record: object) => void
          readonly state: { readonly sum: { get: () => number | undefined; set: (sum: number) => void } }
        }
        state.sum.set((state.sum.get() ?? 0) + event.value)
        emit({ ...event, late: event.ts <= watermark, sum: state.sum.get() })
        timers.register(event.ts + 6)
      },
      onTimer: (time: number, context: never) => {
        const { key, emit } = context as { readonly key: string; readonly emit: (record: object) => void }
        emit({ key, time })
      },
      onProcessingTimer: undefined,
      clock: { now: 0 }
    })
    return { step, input: step, definition: processDefinition(id, state) }
  }
}

/** A partition with one step, and what came out of it: each line has its key in it. */
export class Partition {
  readonly out: string[] = []
  readonly step: Step
  readonly definition: StateDefinition
  private readonly input: Input
  private readonly state: PartitionState
  private readonly atOnce: number

  constructor(make: Make, atOnce: number, entries: Iterable<Entry> = []) {
    const key = keyed()
    const to = (name: string): Input => ({
      next: (record, ts) => void this.out.push(JSON.stringify([name, record, ts])),
      watermark: () => {}
    })
    const { step, input, definition } = make({ key, output: to("out"), late: to("late"), atOnce })
    this.atOnce = atOnce
    this.step = step
    this.definition = definition
    this.input = keyBy((event: Event) => event.key, key, input)
    this.state = new PartitionState([step])
    this.state.putBack(blockOf(entries))
  }

  next(event: Event): void {
    this.input.next(event, event.ts)
  }
  watermark(watermark: number): void {
    this.input.watermark(watermark)
    if (Number.isFinite(this.atOnce)) this.step.proceed(this.atOnce)
  }
  end(): void {
    this.input.watermark(Number.POSITIVE_INFINITY)
    while (this.step.pending) this.step.proceed(1)
  }
  get entries(): Entry[] {
    return entriesOf(this.state)
  }
}
