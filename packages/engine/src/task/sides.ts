import { type Input, NO_WATERMARK, type StageClock } from "@headrace/core"

/** What comes in by one of the exchanges that share a log: where its event time stands, and what its steps have been told. */
export interface TimedSide {
  readonly clock: StageClock
  readonly input: Input
  told: number
}

/** Tells the steps behind a log where event time stands. An idle side holds nothing up: for them it is where the others are. */
export const tellSides = (sides: readonly TimedSide[]): void => {
  const running = sides.filter(({ clock }) => !clock.idle)
  const others = running.length === 0 ? NO_WATERMARK : Math.min(...running.map(({ clock }) => clock.watermark))
  for (const side of sides) {
    const own = side.clock.watermark
    const now = side.clock.idle ? Math.max(own, others) : own
    if (now <= side.told) continue
    side.told = now
    side.input.watermark(now)
  }
}
