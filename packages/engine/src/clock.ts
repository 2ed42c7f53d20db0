import { Clock, Effect } from "effect"

/** In ms, from a clock that never goes back; the fiber's, so that a simulation's is taken for it. */
export const nowMs: Effect.Effect<number> = Effect.map(Clock.monotonicTimeNanos, nanos => Number(nanos) / 1e6)
