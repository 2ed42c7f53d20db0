/** A long pipeline must not slow the compiler down: types stay flat, nothing recurses over the steps. */
import { expect, test } from "bun:test"
import { compile } from "./compiler.ts"

const imports = `
import { Effect } from "effect"
import { Agg, DeadLetter, Pipeline, Sink, Source, Window } from "headrace"
import { Payment, payments, UnknownMerchant } from "test-events"
export const used = { Effect, Agg, DeadLetter, Pipeline, Sink, Source, Window, Payment, UnknownMerchant }
`
const step = (n: number): string =>
  [
    `.filter(p => p.cents > ${n})`,
    `.map(p => ({ ...p, field${n}: p.cents + ${n} }))`,
    `.extend({ extra${n}: p => p.cents * ${n} })`,
    `.keyBy(p => p.account)`,
    `.mapEffect(p => p.cents > ${n} ? Effect.succeed(p) : Effect.fail(new UnknownMerchant({ merchant: p.merchant })))`
  ][n % 5]!

const instantiations = async (steps: number): Promise<number> => {
  const chain = Array.from({ length: steps }, (_, n) => step(n)).join("\n  ")
  const text = `${imports}\nexport const p = payments()\n  ${chain}\n  .catch(DeadLetter.to("dlq")).to(Sink.kafka("out", Payment))\n`
  const output = await compile({ "long.ts": text }, "--extendedDiagnostics")
  expect(output).not.toMatch(/^long\.ts.*error/m)
  return Number(/Instantiations:\s*(\d+)/.exec(output)?.[1])
}

test("50 steps stay within a budget of instantiations", async () => {
  const none = await instantiations(0)
  const fifty = await instantiations(50)
  expect(none).toBeGreaterThan(0)
  expect(fifty - none).toBeLessThan(50 * 150)
})
