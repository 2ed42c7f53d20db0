import { describe, expect, test } from "bun:test"
import { Layer, Schema } from "effect"
import { Agg, DeadLetter, Pipeline, PipelineError, Sink, Source, toPlan, Window } from "../src/index.ts"
import { enrich, Payment, payments } from "./payments.ts"

const Counted = Schema.Struct({ n: Schema.Number })
const counted = { n: Agg.count() }
const minute = Window.tumbling("1 minute")
const keyed = () => payments().keyBy(p => p.account)

/** The message of the PipelineError that it throws. */
const refused = (build: () => unknown): string => {
  try {
    build()
  } catch (error) {
    if (error instanceof PipelineError) return error.message
    throw error
  }
  throw new Error("it was accepted")
}

describe("collisions say which and what to do", () => {
  test("two windows with the same derived id", () => {
    const start = keyed()
    const branch = (topic: string) => start.window(minute, counted).to(Sink.kafka(topic, Counted))
    const message = refused(() => toPlan(Pipeline.all(branch("a"), branch("b"))))
    expect(message).toContain('same id "window:payments/account/60s"')
    expect(message).toContain("explicit { id }")
    const named = start.window(Window.tumbling("1 minute", { id: "second" }), counted).to(Sink.kafka("b", Counted))
    expect(toPlan(Pipeline.all(branch("a"), named)).nodes).toHaveLength(6)
  })

  test("an explicit id that another node has", () => {
    const sinks = () => payments().to(Sink.kafka("a", Payment, { id: "x" }), Sink.kafka("b", Payment, { id: "x" }))
    expect(refused(() => toPlan(sinks()))).toContain('a kafkaSink and a kafkaSink have the same id "x"')
  })

  test("an explicit id does not collide with a derived one of a step without state", () => {
    const nodes = toPlan(
      payments()
        .filter(p => p.cents > 1)
        .to(Sink.kafka("a", Payment, { id: "filter" }))
    ).nodes
    expect(nodes.map(n => n.id)).toEqual(["source:payments", "filter#2", "filter"])
  })

  test("a topic read twice", () => {
    const name = Pipeline.make("p")
    const branch = (topic: string) => name.from(Source.kafka("in", Payment)).to(Sink.kafka(topic, Payment))
    expect(refused(() => toPlan(Pipeline.all(branch("a"), branch("b"))))).toContain('"in" is read by two sources')
  })

  test("a topic written twice", () => {
    const start = keyed()
    const out = start.to(Sink.kafka("out", Payment))
    expect(refused(() => toPlan(Pipeline.all(out, start.to(Sink.kafka("out", Payment)))))).toContain(
      'two sinks write to the topic "out"'
    )
    const windows = start.window(minute, counted).to(Sink.kafka("out", Counted, { id: "counts" }))
    expect(refused(() => toPlan(Pipeline.all(out, windows)))).toContain("different schemas")
    const same = start.to(Sink.kafka("out", Payment, { id: "again" }))
    expect(toPlan(Pipeline.all(out, same)).nodes).toHaveLength(4)
  })

  test("a table filled twice", () => {
    const table = (id: string) => Sink.clickhouse("t", { id })
    const build = () => payments().to(Sink.kafka("a", Payment), table("1"), Sink.kafka("b", Payment), table("2"))
    expect(refused(() => toPlan(build()))).toContain('1 and 2 both fill the table "t"')
  })

  test("a loop, by a sink or by a dead letter", () => {
    expect(refused(() => toPlan(payments().to(Sink.kafka("payments", Payment))))).toContain("round for ever")
    const letters = payments().mapEffect(enrich).catch(DeadLetter.to("payments")).to(Sink.kafka("a", Payment))
    expect(refused(() => toPlan(letters))).toContain('mapEffect:enrich writes to the topic "payments"')
  })
})

describe("branches", () => {
  test("of different pipelines", () => {
    const other = Pipeline.make("other").from(Source.kafka("b", Payment)).to(Sink.kafka("c", Payment))
    expect(refused(() => Pipeline.all(payments().to(Sink.kafka("a", Payment)), other))).toContain(
      'branches of "spend-per-account" and of "other"'
    )
  })
})

describe("layers", () => {
  test("of branches are given once, to the whole", () => {
    const start = payments()
    const out = (topic: string) => start.to(Sink.kafka(topic, Payment))
    const message = refused(() => Pipeline.all(out("a"), out("b").provide(Layer.empty)))
    expect(message).toContain("call provide once, on what Pipeline.all returns")
    expect(toPlan(Pipeline.all(out("a").provide(Layer.empty), out("b").provide(Layer.empty))).nodes).toHaveLength(3)
  })
})

describe("settings", () => {
  test.each([
    [() => Pipeline.make(""), '"" is not a pipeline name'],
    [() => Pipeline.make("a b"), '"a b" is not a pipeline name'],
    [() => Pipeline.make("a..b"), '"a..b" is not a pipeline name'],
    [() => Pipeline.make("a."), '"a." is not a pipeline name'],
    [() => Source.kafka("in/out", Payment), '"in/out" is not a Kafka topic name'],
    [() => Source.kafka("..", Payment), '".." is not a Kafka topic name'],
    [() => Sink.kafka("x".repeat(250), Payment), "is not a Kafka topic name"],
    [() => DeadLetter.to(""), '"" is not a Kafka topic name'],
    [() => Sink.clickhouse(""), '"" is not usable as a table'],
    [() => Source.kafka("in", Payment, { id: "a b" }), '"a b" is not usable as an id'],
    [() => Source.kafka("in", Payment, { outOfOrderness: -1 }), 'outOfOrderness of source "in" is -1'],
    [() => Source.kafka("in", Payment, { outOfOrderness: "Infinity" }), 'is "Infinity": it has to be a whole number'],
    [() => Window.tumbling(0), "the size of a tumbling window is 0"],
    [() => Window.tumbling("1 micro"), 'is "1 micro": it has to be a whole number of milliseconds'],
    [() => Window.tumbling("soon" as "1 second"), 'is "soon": write a duration such as "10 seconds"'],
    [() => Window.tumbling("1 second", { offset: "1 second" }), "make it less than that"],
    [() => Window.tumbling("1 second", { allowedLateness: -1 }), "allowedLateness of a tumbling window is -1"],
    [() => payments().mapEffect(enrich, { concurrency: 0 }), "the concurrency of a mapEffect is 0"],
    [() => payments().mapEffect(enrich, { timeout: 0 }), "the timeout of a mapEffect is 0"],
    [() => keyed().window(minute, {}), "has no aggregates"],
    [() => keyed().window(minute, { windowEnd: Agg.count() }), 'has an aggregate called "windowEnd"']
  ])("%#", (build, message) => {
    expect(refused(build)).toContain(message)
  })

  test("what the types forbid is refused in plain JavaScript too", () => {
    const unkeyed = payments() as unknown as ReturnType<typeof keyed>
    expect(refused(() => unkeyed.window(minute, counted))).toContain("has no key: call keyBy before window")
    const table = Sink.clickhouse("t") as unknown as ReturnType<typeof Sink.kafka<typeof Payment>>
    expect(refused(() => payments().to(table))).toContain("clickhouse:t has no topic to read")
  })
})
