import { pipelineName } from "./check.ts"
import type { Source } from "./source.ts"
import { Stream } from "./stream/stream.ts"

export { all, isPipeline, Pipeline } from "./branches.ts"

/** A pipeline that has a name and nothing else yet. */
export interface Named {
  readonly name: string
  /** Reads a source. Called once: more streams come in by `union` and joins. */
  readonly from: <A extends object>(source: Source<A>) => Stream<A>
}

/**
 * Begins a pipeline. The name becomes part of its groups, transactional ids and internal topics: keep it.
 *
 * ```ts
 * import { Schema } from "effect"
 * import { Pipeline, Sink, Source, toPlan } from "headrace"
 *
 * const Payment = Schema.Struct({ account: Schema.String, cents: Schema.Number })
 * const pipeline = Pipeline.make("large-payments")
 *   .from(Source.kafka("payments", Payment))
 *   .filter(p => p.cents > 1_000_00)
 *   .to(Sink.kafka("large-payments", Payment))
 * toPlan(pipeline).nodes.map(node => node.id) // => ["source:payments", "filter", "kafka:large-payments"]
 * ```
 */
export const make = (name: string): Named => ({
  name: pipelineName(name),
  from: source => new Stream(name, { ...source, fixed: true, inputs: [], beside: [] })
})
