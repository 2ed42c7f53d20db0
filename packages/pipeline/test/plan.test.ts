import { describe, expect, test } from "bun:test"
import { ByteWriter } from "@headrace/core"
import { Context, Effect, Layer, Schema } from "effect"
import fc from "fast-check"
import { Agg, DeadLetter, digest, explain, type Node, Pipeline, Sink, Source, toPlan, Window } from "../src/index.ts"
import { enrich, Payment, payments, Spend, spendPerAccount } from "./payments.ts"

const node = <K extends Node["kind"]>(nodes: readonly Node[], kind: K): Extract<Node, { kind: K }> => {
  const found = nodes.find((n): n is Extract<Node, { kind: K }> => n.kind === kind)
  if (found === undefined) throw new Error(`no ${kind} among ${nodes.map(n => n.id)}`)
  return found
}
const nodesOf = (pipeline: Pipeline.Pipeline): readonly Node[] => toPlan(pipeline).nodes
const inputOf = (n: Node): string | undefined => ("input" in n ? n.input : undefined)
const out = () => Sink.kafka("out", Payment)
const minute = Window.tumbling("1 minute")
const counted = { n: Agg.count() }
const Counted = Schema.Struct({ n: Schema.Number })

describe("nodes", () => {
  test("stand in topological order, each with its input", () => {
    const nodes = nodesOf(spendPerAccount())
    expect(nodes.map(n => [n.id, inputOf(n)])).toEqual([
      ["source:payments", undefined],
      ["filter", "source:payments"],
      ["keyBy:account", "filter"],
      ["mapEffect:enrich", "keyBy:account"],
      ["window:payments/account/10s", "mapEffect:enrich"],
      ["kafka:spend", "window:payments/account/10s"],
      ["clickhouse:spend", undefined]
    ])
  })

  test("carry the settings in ms", () => {
    const source = node(nodesOf(spendPerAccount()), "source")
    expect(source).toMatchObject({ topic: "payments", outOfOrdernessMs: 20_000, onDecodeError: { kind: "fail" } })
    expect(source.eventTime?.({ at: 7 } as never)).toBe(7)
    const windowed = payments()
      .keyBy(p => p.account)
      .window(Window.tumbling("1 hour", { offset: "15 minutes", allowedLateness: "250 millis", id: "hourly" }), counted)
    expect(node(nodesOf(windowed.to(Sink.kafka("n", Counted))), "window")).toMatchObject({
      id: "hourly",
      assigner: { kind: "tumbling", sizeMs: 3_600_000, offsetMs: 900_000 },
      allowedLatenessMs: 250,
      late: undefined,
      aggregates: { n: { kind: "count" } }
    })
  })

  test("a source without options: Kafka's time, in order, fails on damage", () => {
    const nodes = nodesOf(Pipeline.make("p").from(Source.kafka("t", Payment)).to(out()))
    expect(node(nodes, "source")).toMatchObject({ eventTime: undefined, outOfOrdernessMs: 0 })
  })

  test("undecodable records go to a dead letter topic", () => {
    const source = Source.kafka("t", Payment, { onDecodeError: DeadLetter.to("t.dlq"), id: "in" })
    const nodes = nodesOf(Pipeline.make("p").from(source).to(out()))
    expect(node(nodes, "source")).toMatchObject({ id: "in", onDecodeError: { kind: "deadLetter", topic: "t.dlq" } })
  })

  test("late records have a sink of their own below the window", () => {
    const late = Sink.kafka("payments.late", Payment)
    const nodes = nodesOf(
      payments()
        .keyBy(p => p.account)
        .window(minute, counted, { late })
        .to(Sink.kafka("n", Counted))
    )
    const window = node(nodes, "window")
    expect(window.late).toBe("kafka:payments.late")
    expect(nodes.filter(n => n.kind === "kafkaSink").map(n => [n.id, n.input])).toEqual([
      ["kafka:payments.late", window.id],
      ["kafka:n", window.id]
    ])
  })

  test("a table reads the topic of the sink before it", () => {
    const twice = [Sink.kafka("b", Payment), Sink.clickhouse("b1"), Sink.clickhouse("b2")] as const
    const nodes = nodesOf(payments().to(Sink.kafka("a", Payment), Sink.clickhouse("a1"), ...twice))
    const tables = nodes.filter(n => n.kind === "clickhouseSink")
    expect(tables.map(n => [n.table, n.topic, n.schema])).toEqual([
      ["a1", "a", Payment],
      ["b1", "b", Payment],
      ["b2", "b", Payment]
    ])
  })

  test("an extend step keeps its functions by name", () => {
    const extend = node(
      nodesOf(
        payments()
          .extend({ risk: p => p.cents / 2 })
          .to(out())
      ),
      "extend"
    )
    expect(extend.id).toBe("extend:risk")
    expect(extend.fields.risk?.({ cents: 4 } as never)).toBe(2)
  })

  test("streams are immutable: continuing one leaves it as it was", () => {
    const start = payments()
    const before = start.last
    start.filter(p => p.cents > 0).map(p => ({ ...p }))
    start.mapEffect(enrich).catch(DeadLetter.to("dlq"))
    expect(start.last).toBe(before)
    expect(nodesOf(start.to(out()))).toHaveLength(2)
  })
})

describe("branches", () => {
  test("share the nodes that were built once", () => {
    const captures = payments().filter(p => p.kind === "capture")
    const nodes = nodesOf(
      Pipeline.all(
        captures.to(out()),
        captures
          .keyBy(p => p.account)
          .window(minute, counted)
          .to(Sink.kafka("n", Counted))
      )
    )
    expect(nodes.map(n => n.id)).toEqual([
      "source:payments",
      "filter",
      "kafka:out",
      "keyBy:account",
      "window:payments/account/60s",
      "kafka:n"
    ])
  })

  test("steps without state are numbered where their names are taken", () => {
    const start = payments()
    const branch = (topic: string) => start.filter(p => p.cents > 0).to(Sink.kafka(topic, Payment))
    const filters = nodesOf(Pipeline.all(branch("a"), branch("b"), branch("c"))).filter(n => n.kind === "filter")
    expect(filters.map(n => n.id)).toEqual(["filter", "filter#2", "filter#3"])
  })

  test("handling errors below a shared step leaves the steps above it shared", () => {
    const captures = payments().filter(p => p.kind === "capture")
    const branch = (topic: string) =>
      captures.mapEffect(enrich).catch(DeadLetter.to("dlq")).to(Sink.kafka(topic, Payment))
    const nodes = nodesOf(Pipeline.all(branch("a"), branch("b")))
    expect(nodes.filter(n => n.kind === "mapEffect").map(n => inputOf(n))).toEqual(["filter", "filter"])
  })

  test("any chain of steps gives unique ids, inputs before what reads them, and one digest", () => {
    const kinds = fc.array(fc.constantFrom("filter", "map", "extend", "keyBy", "mapEffect"), { maxLength: 30 })
    fc.assert(
      fc.property(fc.array(kinds, { minLength: 1, maxLength: 4 }), chains => {
        const build = () => toPlan(branches(chains))
        const { nodes } = build()
        const ids = nodes.map(n => n.id)
        expect(new Set(ids).size).toBe(ids.length)
        for (const [i, n] of nodes.entries()) if (n.kind !== "source") expect(ids.indexOf(inputOf(n)!)).toBeLessThan(i)
        expect(nodes.length).toBe(1 + chains.reduce((sum, chain) => sum + chain.length + 1, 0))
        expect(digest(build())).toBe(digest(build()))
      })
    )
  })
})

const branches = (chains: readonly (readonly string[])[]): Pipeline.Pipeline => {
  const start = payments()
  const [first, ...rest] = chains.map((chain, i) => {
    const stream = chain.reduce<typeof start>((s, kind) => continued(s, kind), start)
    return stream.to(Sink.kafka(`out-${i}`, Payment))
  })
  return Pipeline.all(first!, ...rest)
}
const continued = (s: ReturnType<typeof payments>, kind: string): ReturnType<typeof payments> => {
  if (kind === "filter") return s.filter(p => p.cents > 0)
  if (kind === "map") return s.map(p => p)
  if (kind === "extend") return s.extend({ risk: () => 1 })
  if (kind === "mapEffect") return s.mapEffect(p => Effect.succeed(p))
  return s.keyBy(p => p.account) as unknown as typeof s
}

describe("the digest", () => {
  const source = Source.kafka("payments", Payment, {
    eventTime: p => p.at,
    outOfOrderness: "20 seconds",
    key: "account"
  })
  const from = (name: string) => Pipeline.make(name).from(source)
  const digestOf = (pipeline: Pipeline.Pipeline) => digest(toPlan(pipeline))
  const base = digestOf(from("p").to(out()))

  test("is the same for another build of the same pipeline", () => {
    expect(digestOf(spendPerAccount())).toBe(digestOf(spendPerAccount()))
    expect(digestOf(from("p").to(out()))).toBe(base)
    expect(base).toMatch(/^[0-9a-f]{16}$/)
  })

  test("does not see what functions say", () => {
    const digestFor = (least: number) =>
      digestOf(
        from("p")
          .filter(p => p.cents > least)
          .to(out())
      )
    expect(digestFor(1)).toBe(
      digestOf(
        from("p")
          .filter(p => p.kind !== "x")
          .to(out())
      )
    )
  })

  const Wider = Schema.Struct({ ...Payment.fields, more: Schema.optionalKey(Schema.String) })
  const WiderStill = Schema.Struct({ ...Payment.fields, more: Schema.String })
  const changed: Readonly<Record<string, Pipeline.Pipeline>> = {
    base: from("p").to(out()),
    name: from("q").to(out()),
    step: from("p")
      .filter(p => p.cents > 1)
      .to(out()),
    topic: from("p").to(Sink.kafka("out2", Payment)),
    table: from("p").to(out(), Sink.clickhouse("out")),
    key: from("p").to(Sink.kafka("out", Payment, { key: p => p.account })),
    schema: from("p")
      .map(p => ({ ...p, more: "" }))
      .to(Sink.kafka("out", Wider)),
    optional: from("p")
      .map(p => ({ ...p, more: "" }))
      .to(Sink.kafka("out", WiderStill)),
    field: from("p")
      .keyBy(p => p.account)
      .to(out()),
    otherField: from("p")
      .keyBy(p => p.merchant)
      .to(out()),
    concurrency: from("p").mapEffect(enrich, { concurrency: 2 }).orDie().to(out()),
    otherConcurrency: from("p").mapEffect(enrich, { concurrency: 3 }).orDie().to(out()),
    window: from("p")
      .keyBy(p => p.account)
      .window(minute, { n: Agg.count() })
      .to(Sink.kafka("out", Counted)),
    aggregate: from("p")
      .keyBy(p => p.account)
      .window(minute, { n: Agg.sum(p => p.cents) })
      .to(Sink.kafka("out", Counted))
  }
  test("tells different structures apart", () => {
    const digests = Object.values(changed).map(digestOf)
    expect(new Set(digests).size).toBe(digests.length)
  })
})

test("explain draws the plan", () => {
  expect(explain(toPlan(spendPerAccount()))).toBe(
    [
      "spend-per-account",
      "source:payments  topic payments, event time, out of order by 20s, stops at undecodable records",
      "└─ filter",
      "   └─ keyBy:account  keyed by the field account",
      "      └─ mapEffect:enrich  up to 64 at once, dead letters to payments.dlq",
      "         └─ window:payments/account/10s  tumbling 10s, state { spent: sum, payments: count }",
      "            └─ kafka:spend  to topic spend",
      "               └─ clickhouse:spend  to table spend, from topic spend"
    ].join("\n")
  )
})

describe("state of a custom aggregate", () => {
  const State = Schema.Struct({ total: Schema.BigInt, seen: Schema.Array(Schema.Number), last: Schema.Date })
  const agg = Agg.custom({
    state: State,
    init: () => ({ total: 0n, seen: [], last: new Date(0) }),
    add: (s, p: Payment) => ({ ...s, total: s.total + BigInt(p.cents) }),
    result: s => s.total
  }).aggregate
  const codec = agg.kind === "custom" ? agg.codec : undefined

  test("survives its codec, wherever in the buffer it stands", () => {
    const state = fc.record({
      total: fc.bigInt(),
      // JSON has no -0: it comes back as 0.
      seen: fc.array(fc.double().map(value => (value === 0 ? 0 : value))),
      last: fc.date({ noInvalidDate: true })
    })
    fc.assert(
      fc.property(state, fc.nat(20), (value, before) => {
        const writer = new ByteWriter()
        for (let i = 0; i < before; i++) writer.u8(i)
        codec!.write(value, writer)
        const end = writer.length
        writer.u8(1)
        expect(codec!.read(writer.bytes, before, end)).toEqual(value)
      })
    )
  })
})

describe("layers", () => {
  class Rates extends Context.Service<Rates, { readonly rate: number }>()("test/Rates") {}
  class Fees extends Context.Service<Fees, { readonly fee: number }>()("test/Fees") {}
  const fees = Layer.effect(
    Fees,
    Effect.map(Rates, ({ rate }) => ({ fee: rate * 2 }))
  )
  const rates = Layer.succeed(Rates, { rate: 21 })
  const charge = (p: Payment) => Effect.map(Effect.all([Fees, Rates]), ([{ fee }]) => ({ ...p, cents: fee }))

  test("none is the empty one", () => {
    expect(toPlan(payments().to(out())).layer).toBe(Layer.empty as never)
  })

  test("one provided later serves those before it, and the steps", async () => {
    const plan = toPlan(payments().mapEffect(charge).to(out()).provide(fees).provide(rates))
    const run = node(plan.nodes, "mapEffect").run as (record: object) => Effect.Effect<object, never, unknown>
    const layer = plan.layer as Layer.Layer<unknown, unknown>
    expect(await Effect.runPromise(Effect.provide(run({}), layer) as Effect.Effect<object>)).toEqual({ cents: 42 })
  })
})

test("isPipeline tells a pipeline from what a module may export else", () => {
  expect(Pipeline.isPipeline(spendPerAccount())).toBe(true)
  for (const other of [undefined, null, {}, "x", payments(), Spend]) expect(Pipeline.isPipeline(other)).toBe(false)
})
