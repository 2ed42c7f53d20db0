import { Effect } from "effect"

/**
 * Rests after each stretch of work, so that it takes `share` of a processor, asked each time. What counts is the time that
 * this thread had a processor: one that waited for a server or a disk has rested.
 */
export const breather = (share: () => number): Effect.Effect<void> => {
  let before = processorMs()
  return Effect.suspend(() => {
    const worked = processorMs() - before
    return Effect.andThen(
      Effect.sleep(worked * (1 / share() - 1)),
      Effect.sync(() => {
        before = processorMs()
      })
    )
  })
}

const processorMs = (): number => {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
