import { Schedule } from "effect"

/** For a server that does not answer: asked again for ever, soon at first and then every two seconds. */
export const untilAnswered = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")])
