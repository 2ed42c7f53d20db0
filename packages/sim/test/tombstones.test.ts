/** Records without a value, as a compacted topic has them, in a partition of a source. */
import { expect, test } from "bun:test"
import { KEY_LENGTH, LogError, OUTPUT_STRIDE, Outputs, STRIDE, VALUE_LENGTH } from "@headrace/engine"
import { Schema } from "effect"
import { DeadLetter, Pipeline, Sink, Source, toPlan } from "headrace"
import { makeTask } from "../src/engine.ts"
import { chainParts } from "../src/parts.ts"
import { SOURCE } from "../src/pipelines.ts"
import { APP, World } from "../src/world.ts"
import { batchOf } from "./bench.ts"

const Event = Schema.Struct({ id: Schema.Int, account: Schema.String, cents: Schema.Int, at: Schema.Number })
type Event = typeof Event.Type
const event = (account: string, cents: number, at: number): Event => ({ id: 1, account, cents, at })

/** What comes out of rows, where a row of a negative sum stands for a tombstone. */
const run = (
  tombstone: ((key: string, timestamp: number) => Event | undefined) | undefined,
  rows: readonly Event[],
  { keyless = false, onDecodeError = "fail" as "fail" | ReturnType<typeof DeadLetter.to> } = {}
) => {
  const source = Source.kafka(SOURCE, Event, {
    ...{ key: "account", eventTime: e => e.at, onDecodeError },
    ...(tombstone && { tombstone })
  })
  const plan = toPlan(
    Pipeline.make(APP)
      .from(source)
      .keyBy(e => e.account)
      .to(Sink.kafka("out", Event))
  )
  const world = new World(1, undefined, undefined)
  const outputs = new Outputs()
  const task = makeTask(
    chainParts(plan, world, {}, () => {}),
    { topic: SOURCE, partition: 0 },
    () => outputs
  )
  task.start({ offset: 0, committed: 0 })
  const batch = batchOf(rows, 0)
  for (const [i, { cents }] of rows.entries())
    if (cents < 0) {
      batch.index[i * STRIDE + VALUE_LENGTH] = -1
      if (keyless) batch.index[i * STRIDE + KEY_LENGTH] = -1
    }
  task.process(batch, 0, rows.length)
  const text = new TextDecoder()
  return Array.from({ length: outputs.count }, (_, i) => {
    const at = i * OUTPUT_STRIDE + 2
    const [key, keyLength, value, valueLength] = outputs.index.subarray(at, at + 4) as unknown as [
      number,
      number,
      number,
      number
    ]
    const read = (start: number, length: number) => text.decode(outputs.data.bytes.subarray(start, start + length))
    const cents = valueLength > 0 ? (JSON.parse(read(value, valueLength)) as Event).cents : undefined
    return [read(key, keyLength), cents, outputs.stamps[i]]
  })
}

const rows = [event("a", 5, 10), event("a", -1, 20), event("b", -1, 30), event("b", 7, 40)]

test("is the record that the source makes of its key, or none", () => {
  const gone = (account: string, timestamp: number) => (account === "a" ? event(account, 0, timestamp + 1) : undefined)
  expect(run(gone, rows)).toEqual([
    ["a", 5, 10],
    ["a", 0, 21],
    ["b", 7, 40]
  ])
})

test("cannot be decoded where the source says nothing of it", () => {
  expect(() => run(undefined, rows)).toThrow(LogError)
})

test("without a key is a record that cannot be decoded, and goes where those go", () => {
  const gone = (account: string, timestamp: number) => event(account, 0, timestamp)
  expect(() => run(gone, rows, { keyless: true })).toThrow(/neither a key nor a value/)
  const diverted = run(gone, rows, { keyless: true, onDecodeError: DeadLetter.to("bad") })
  expect(diverted.map(([, cents]) => cents)).toEqual([5, undefined, undefined, 7])
})

test("of which the source's function fails stops the job, and the record is named", () => {
  const fails = () => {
    throw new Error("no such row")
  }
  expect(() => run(fails, rows)).toThrow(/offset 1.*no such row/s)
})
