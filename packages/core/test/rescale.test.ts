/** Windows of each key, joins, deduplication and broadcast state in another number of partitions. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import {
  aggregated,
  count,
  Deduplicate,
  type Entry,
  type EventTimeOperator,
  eventTime,
  type Input,
  IntervalJoin,
  KeyedWindow,
  keyBy,
  keyed,
  PartitionState,
  Process,
  processDefinition,
  type StateDefinition,
  scalarCodec,
  TableJoin,
  TemporalJoin,
  WindowJoin
} from "../src/index.ts"
import { blockOf } from "../src/state/block.ts"
import { json } from "./json.ts"
import { entriesOf, placeOf, rescale } from "./rescaling.ts"

interface Event {
  readonly key: string
  readonly ts: number
  readonly value: number
}

const BOUND = 5
const LATER = 10_000
const of = (event: Event): number => event.value
const pair = (left: Event | undefined, right: Event | undefined) => ({ left: left ?? null, right: right ?? null })
const none = () => false

/** One partition with an operator of each kind, and what came out of them. */
class Partition {
  readonly out: string[] = []
  private readonly state: PartitionState
  private readonly inputs: readonly Input[]
  private readonly rules: Input
  readonly definitions: ReadonlyMap<string, StateDefinition>
  private maximum = Number.NEGATIVE_INFINITY

  constructor() {
    const key = keyed()
    const output = (name: string): Input => ({
      next: (record, ts) => void this.out.push(JSON.stringify([name, record, ts])),
      watermark: () => {}
    })
    const side = { key, codec: json }
    const window = (id: string, kept: boolean) =>
      new KeyedWindow({
        id,
        assigner: { kind: "session", gapMs: 6 },
        trigger: eventTime,
        allowedLatenessMs: 0,
        contents: aggregated({
          id,
          aggregates: {
            sum: { kind: "sum", of },
            different: { kind: "distinctCount", of },
            ...(kept ? { all: { kind: "collect", of, codec: scalarCodec } as const } : {})
          }
        }),
        what: "test",
        key,
        output: output(id),
        late: undefined
      })
    const folded = window("folded", false)
    const listed = window("listed", true)
    const joins = { id: "", left: side, right: side, combine: pair } as const
    const interval = new IntervalJoin({
      ...joins,
      id: "interval",
      output: output("interval"),
      lowerMs: -3,
      upperMs: 8,
      type: "full"
    })
    const temporal = new TemporalJoin({
      ...joins,
      id: "temporal",
      output: output("temporal"),
      type: "left",
      isDeleted: none
    })
    const together = new WindowJoin({
      ...joins,
      id: "together",
      output: output("together"),
      assigner: { kind: "tumbling", sizeMs: 40, offsetMs: 0 },
      trigger: count(2),
      allowedLatenessMs: 0,
      pairing: { kind: "join", type: "full", combine: pair },
      retracts: true
    })
    const isDeleted = { left: none, right: none }
    const table = new TableJoin({
      ...joins,
      id: "table",
      output: output("table"),
      kind: "table",
      type: "full",
      isDeleted
    })
    const dedup = new Deduplicate({
      id: "dedup",
      keep: "first",
      emit: "once",
      key,
      codec: json,
      late: undefined,
      output: output("dedup")
    })
    const process = new Process({
      id: "process",
      state: {},
      broadcast: {
        codec: json,
        onBroadcast: (rule: { id: string }, map: { set: (id: string, rule: object) => void }) => map.set(rule.id, rule)
      },
      onRecord: (_: Event, { timers }: { timers: { register: (time: number) => void } }) => timers.register(LATER),
      onTimer: (
        _: number,
        context: { key: string; broadcast: { entries: () => unknown }; emit: (record: object) => void }
      ) => context.emit({ key: context.key, rules: context.broadcast.entries() }),
      onProcessingTimer: undefined,
      clock: { now: 0 },
      key,
      output: output("process")
    })
    // Even values are events of the left side, odd ones of the right.
    const sided = ({ left, right }: { readonly left: Input; readonly right: Input }): Input => ({
      next: (record, ts) => ((record as Event).value % 2 === 0 ? left : right).next(record, ts),
      watermark: watermark => {
        left.watermark(watermark)
        right.watermark(watermark)
      }
    })
    const operators: readonly EventTimeOperator[] = [folded, listed, interval, temporal, together, table, dedup]
    const heads = [folded, listed, sided(interval), sided(temporal), sided(together), sided(table), dedup, process]
    this.inputs = heads.map(head => keyBy((event: Event) => event.key, key, head))
    this.rules = process.broadcasts
    this.state = new PartitionState([...operators, process])
    const all = [...operators.map(one => one.definition), processDefinition("process", {}, json)]
    this.definitions = new Map(all.map(one => [one.id, one]))
  }

  rule(id: string): this {
    this.rules.next({ id }, 0)
    return this
  }

  run(events: readonly Event[]): this {
    for (const event of events) {
      this.maximum = Math.max(this.maximum, event.ts)
      for (const input of this.inputs) input.next(event, event.ts)
      for (const input of this.inputs) input.watermark(this.maximum - BOUND - 1)
    }
    return this
  }

  end(): this {
    for (const input of this.inputs) input.watermark(Number.POSITIVE_INFINITY)
    return this
  }

  entries(): Entry[] {
    return entriesOf(this.state)
  }

  restore(entries: Iterable<Entry>): this {
    this.state.putBack(blockOf(entries))
    return this
  }
}

const anyEvents = fc
  .array(
    fc.record({
      key: fc.constantFrom("a", "b", "c", "d", "e", "key-7", "key-8"),
      jitter: fc.integer({ min: 0, max: BOUND }),
      value: fc.integer({ min: 0, max: 9 })
    }),
    { maxLength: 50 }
  )
  .map(events => events.map(({ key, jitter, value }, i): Event => ({ key, ts: i * 2 + jitter, value })))
const inPartitions = (events: readonly Event[], partitions: number): Event[][] =>
  Array.from({ length: partitions }, (_, one) => events.filter(event => placeOf(event.key, partitions) === one))
const outputs = (partitions: readonly Partition[]) => partitions.flatMap(one => one.out).sort()

test.each([
  [2, 4],
  [4, 2],
  [3, 2]
])("%d → %d gives the results of a run that had them from the start", (before, after) => {
  fc.assert(
    fc.property(anyEvents, fc.nat(50), (events, cut) => {
      const earlier = inPartitions(events.slice(0, cut), before).map(part =>
        new Partition().rule("x").rule("y").run(part)
      )
      const states = rescale(
        earlier.map(one => one.entries()),
        after,
        new Partition().definitions
      )
      const later = inPartitions(events.slice(cut), after).map((part, i) =>
        new Partition().restore(states[i]!).run(part).end()
      )
      const whole = new Partition().rule("x").rule("y").run(events).end()
      expect(outputs([...earlier, ...later])).toEqual(outputs([whole]))
    }),
    { numRuns: 100 }
  )
})
