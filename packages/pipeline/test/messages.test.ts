/** What a user reads where a pipeline does not compile. */
import { beforeAll, expect, test } from "bun:test"
import { compile } from "./compiler.ts"

const header = `
import { Context, Effect, Schema } from "effect"
import { Agg, DeadLetter, Pipeline, Sink, Source, toPlan, Window } from "headrace"
import { enrich, Payment, payments, Spend } from "test-events"
class Merchants extends Context.Service<Merchants, { readonly risk: Effect.Effect<number> }>()("Merchants") {}
export { Context, Effect, Schema, Agg, DeadLetter, Pipeline, Sink, Source, toPlan, Window, enrich, Payment, Spend, Merchants }
`
const snippets: Readonly<Record<string, string>> = {
  unhandled: `payments().mapEffect(enrich).to(Sink.kafka("out", Payment))`,
  unkeyed: `payments().window(Window.tumbling("10 seconds"), { n: Agg.count() })`,
  unkeyedProcess: `payments().process("p", { emits: Payment, state: {}, onRecord: () => {} })`,
  misfit: `payments().to(Sink.kafka("spend", Spend))`,
  services: `toPlan(payments().mapEffect(() => Merchants.use(m => Effect.map(m.risk, cents => ({ cents })))).to(
    Sink.kafka("risk", Schema.Struct({ cents: Schema.Number }))))`,
  overwritten: `payments().extend({ cents: p => p.cents * 2 })`,
  wrongTag: `payments().mapEffect(enrich).catchTag("UnknownMerchnat", DeadLetter.to("dlq"))`,
  tableAlone: `payments().to(Sink.clickhouse("payments"))`
}

let output = ""
beforeAll(async () => {
  const files = Object.entries(snippets).map(([name, text]) => [`${name}.ts`, `${header}\n${text}\n`] as const)
  output = await compile({ ...Object.fromEntries(files), "all.ts": `export * from "type-tests"\n` })
})

/** The compiler's message about one snippet: its first line, which editors show, and what belongs to it. */
const message = (snippet: string): string => {
  const lines = output.split("\n")
  const first = lines.findIndex(line => line.startsWith(`${snippet}.ts`))
  const next = lines.findIndex((line, i) => i > first && !line.startsWith(" "))
  return first === -1 ? "" : lines.slice(first, next).join("\n")
}

test.each([
  ["unhandled", ["unhandled errors: handle them with catchTag or catch", "orDie", "UnhandledErrors<UnknownMerchant>"]],
  ["unkeyed", ["a window needs a keyed stream: call keyBy before window"]],
  ["unkeyedProcess", ["process needs a keyed stream: call keyBy before process"]],
  ["misfit", ["KafkaSink<Spend>", "windowStart"]],
  ["services", ["Pipeline<Merchants>", "Pipeline<never>"]],
  ["overwritten", ['FieldExists<"cents">']],
  ["wrongTag", ['"UnknownMerchnat"', '"UnknownMerchant"']],
  ["tableAlone", ["ClickHouseSink", "KafkaSink<Payment>"]]
])("%s", (snippet, parts) => {
  for (const part of parts) expect(message(snippet)).toContain(part)
  expect(message(snippet).split("\n").length).toBeLessThanOrEqual(6)
})

test("the type tests hold: what must not compile does not", () => {
  expect(output.split("\n").filter(line => line.includes("types.test.ts"))).toEqual([])
})
