/** Records without a value, as a compacted topic has them, in a partition of a source. */
import { expect, test } from "bun:test"
import { LogError, OUTPUT_STRIDE, Outputs, STRIDE, VALUE_LENGTH } from "@headrace/engine"
import { Schema } from "effect"
import { Pipeline, Sink, Source, toPlan } from "headrace"
import { makeTask } from "../src/engine.ts"
import { chainParts } from "../src/node.ts"
import { SOURCE } from "../src/pipelines.ts"
import { APP, World } from "../src/world.ts"
import { batchOf } from "./bench.ts"

const Event = Schema.Struct({ id: Schema.Int, account: Schema.String, cents: Schema.Int, at: Schema.Number })
type Event = typeof Event.Type
const event = (account: string, cents: number, at: number): Event => ({ id: 1, account, cents, at })

/** What comes out of rows, where a row of a negative sum stands for a tombstone. */
const run = (
  tombstone: ((key: string, timestamp: number) => Event | undefined) | undefined,
  rows: readonly Event[]
) => {
  const source = Source.kafka(SOURCE, Event, { key: "account", eventTime: e => e.at, ...(tombstone && { tombstone }) })
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
  for (const [i, { cents }] of rows.entries()) if (cents < 0) batch.index[i * STRIDE + VALUE_LENGTH] = -1
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
    return [read(key, keyLength), (JSON.parse(read(value, valueLength)) as Event).cents, outputs.stamps[i]]
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
