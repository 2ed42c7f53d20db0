export * as Agg from "./agg.ts"
export { annotationOf, isInteger, representationOf } from "./annotation.ts"
export * as DeadLetter from "./deadLetter.ts"
export type { Change, DeduplicateOptions } from "./deduplicate.ts"
export { digest } from "./digest.ts"
export { PipelineError } from "./error.ts"
export * as Evictor from "./evictor.ts"
export { explain } from "./explain.ts"
export type {
  IntervalOptions,
  JoinOptions,
  JoinType,
  JoinUpdates,
  TableOptions,
  TemporalOptions,
  WindowJoinOptions
} from "./join.ts"
export type { LookupOptions } from "./lookup.ts"
export type { EventOptions, MatchOptions } from "./match.ts"
export { mermaid } from "./mermaid.ts"
export * from "./nodes.ts"
export * as Pattern from "./pattern.ts"
export * as Patterns from "./patterns.ts"
export * as Pipeline from "./pipeline.ts"
export * from "./plan.ts"
export type { BroadcastProcess, Process } from "./process.ts"
export * as Sink from "./sink.ts"
export * as Source from "./source.ts"
export * as State from "./state.ts"
export { AsyncStream, MatchedStream, ProcessedStream, Stream } from "./stream/stream.ts"
export type { Updates, WindowResults } from "./stream/windows.ts"
export { toPlan } from "./toPlan.ts"
export * as Trigger from "./trigger.ts"
export * as Window from "./window.ts"
