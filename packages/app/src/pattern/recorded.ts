import { createReadStream } from "node:fs"
import { createInterface } from "node:readline"
import { messageOf } from "@headrace/core"
import { Effect } from "effect"
import { ConfigError } from "../config/error.ts"
import type { Recorded, Trial, TrialCounts, TrialOutput } from "./trial.ts"

/** Lines between two times that outputs are printed. */
const LINES = 1_000

export interface FileOfEvents {
  /** A file of JSON, an event a line, in the order of their arrival. */
  readonly path: string
  /** The field that holds the event time in ms. */
  readonly time: string
  readonly outOfOrdernessMs: number
}

/** Tries a pattern on the events of a file. */
export const tryOnFile = <E>(
  trial: Trial,
  { path, time, outOfOrdernessMs }: FileOfEvents,
  print: (outputs: readonly TrialOutput[]) => Effect.Effect<void, E>
): Effect.Effect<TrialCounts, ConfigError | E> =>
  Effect.gen(function* () {
    const lines = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY })
    const iterator = lines[Symbol.asyncIterator]()
    let number = 0
    let latest = Number.NEGATIVE_INFINITY
    const takeSome = async (): Promise<boolean> => {
      for (let left = LINES; left > 0; left--) {
        const { done, value } = await iterator.next()
        if (done === true) return false
        const where = `line ${++number}`
        if (value.trim() === "") continue
        const event = parsed(value, where)
        latest = Math.max(latest, trial.take(event, event[time], where, time))
        trial.watermark(latest - outOfOrdernessMs - 1)
      }
      return true
    }
    const some = Effect.tryPromise({
      try: takeSome,
      catch: error => new ConfigError({ message: `${path}: ${messageOf(error)}` })
    })
    while (yield* some) yield* print(trial.outputs())
    trial.end()
    yield* print(trial.outputs())
    return trial.counts
  })

const parsed = (line: string, where: string): Recorded => {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Recorded
  } catch {
    // Said below, with what is not an object.
  }
  throw new Error(`${where} is no JSON object`)
}
