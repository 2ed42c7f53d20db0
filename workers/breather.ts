import { Effect } from "effect"

/** Rests after each stretch of work, so that all of it together takes `share` of a processor. */
export const breather = (share: number): Effect.Effect<void> => {
  let since = performance.now()
  return Effect.suspend(() => {
    const worked = performance.now() - since
    return Effect.andThen(
      Effect.sleep(worked * (1 / share - 1)),
      Effect.sync(() => {
        since = performance.now()
      })
    )
  })
}
