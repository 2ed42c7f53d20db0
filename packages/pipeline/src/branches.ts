import { Layer } from "effect"
import type { Draft } from "./draft.ts"
import { check } from "./error.ts"

type Provided = Layer.Layer<never, unknown, unknown>

/**
 * Streams that have arrived in sinks: what a pipeline module exports by default. R is what its asynchronous steps
 * need still; `toPlan`, and so `headrace run`, asks for `never`.
 */
export class Pipeline<out R = never> {
  declare readonly "~pipeline": R
  readonly name: string
  readonly sinks: readonly Draft[]
  readonly layer: Provided | undefined

  constructor(name: string, sinks: readonly Draft[], layer: Provided | undefined) {
    this.name = name
    this.sinks = sinks
    this.layer = layer
  }

  /** Gives services to the asynchronous steps. The layer is built once for each lane, and closed with it. */
  provide<P, LE, LR>(layer: Layer.Layer<P, LE, LR>): Pipeline<Exclude<R, P> | LR> {
    const provided = this.layer === undefined ? layer : Layer.provideMerge(this.layer, layer)
    return new Pipeline(this.name, this.sinks, provided)
  }
}

/**
 * Makes one pipeline of branches. What they share is what was built once: continue the same stream in several ways.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Pipeline, Sink, Source, toPlan } from "headrace"
 *
 * const Payment = Schema.Struct({ kind: Schema.String, cents: Schema.Number })
 * const payments = Pipeline.make("by-kind").from(Source.kafka("payments", Payment))
 * const pipeline = Pipeline.all(
 *   payments.filter(p => p.kind === "refund").to(Sink.kafka("refunds", Payment)),
 *   payments.filter(p => p.kind === "capture").to(Sink.kafka("captures", Payment))
 * )
 * toPlan(pipeline).nodes.length // => 5
 * ```
 */
export const all = <const Branches extends readonly [Pipeline<unknown>, ...ReadonlyArray<Pipeline<unknown>>]>(
  ...branches: Branches
): Pipeline<Branches[number]["~pipeline"]> => {
  const [first] = branches
  for (const branch of branches) checkBranch(first, branch)
  return new Pipeline(first.name, [...new Set(branches.flatMap(branch => branch.sinks))], first.layer)
}

const checkBranch = (first: Pipeline<unknown>, branch: Pipeline<unknown>): void => {
  check(
    branch.name === first.name,
    () => `Pipeline.all got branches of "${first.name}" and of "${branch.name}": begin them with one Pipeline.make`
  )
  check(
    branch.layer === first.layer,
    () => `branches of "${first.name}" have different layers: call provide once, on what Pipeline.all returns`
  )
}

/** Whether a value, such as the default export of a module, is a pipeline. */
export const isPipeline = (value: unknown): value is Pipeline<never> => value instanceof Pipeline
