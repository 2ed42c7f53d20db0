import { createReadStream } from "node:fs"
import { createInterface } from "node:readline"
import { END_OF_TIME, type Key, keyBy, keyed, PatternMatch, type StoredCodec } from "@headrace/core"
import { Effect } from "effect"
import { Pattern } from "headrace"
import { ConfigError } from "../config.ts"

export interface TrialOptions {
  readonly id: string
  readonly spec: string
  /** A file of JSON, an event a line. */
  readonly events: string
  /** The fields that hold the key, and the event time in ms. */
  readonly key: string
  readonly time: string
  readonly outOfOrdernessMs: number
}

export interface TrialOutput {
  readonly kind: "match" | "timedOut" | "late"
  readonly key: Key
  readonly at: number
  readonly steps: readonly { readonly step: string; readonly events: readonly object[] }[]
}

export interface TrialCounts {
  events: number
  match: number
  timedOut: number
  late: number
}

type Recorded = Readonly<Record<string, unknown>>

/** Looks for a pattern in recorded events, as a job does. `found` is called for each match, in the order in which they come out. */
export const tryPattern = (
  options: TrialOptions,
  found: (output: TrialOutput) => void
): Effect.Effect<TrialCounts, ConfigError> =>
  Effect.tryPromise({
    try: async () => {
      const trial = new Trial(options, found)
      const lines = createInterface({ input: createReadStream(options.events), crlfDelay: Number.POSITIVE_INFINITY })
      let number = 0
      for await (const line of lines) {
        number++
        if (line.trim() !== "") trial.take(line, number)
      }
      return trial.end()
    },
    catch: error => new ConfigError({ message: `${options.events}: ${error instanceof Error ? error.message : error}` })
  })

class Trial {
  readonly counts: TrialCounts = { events: 0, match: 0, timedOut: 0, late: 0 }
  private readonly options: TrialOptions
  private readonly head: ReturnType<typeof keyBy>
  private latest = Number.NEGATIVE_INFINITY

  constructor(options: TrialOptions, found: (output: TrialOutput) => void) {
    this.options = options
    const key = keyed()
    const spec = Pattern.readSpec(JSON.parse(options.spec))
    const pattern = Pattern.fromSpec(spec).done()
    const into = (kind: TrialOutput["kind"]) => ({
      next: (record: object, at: number) => {
        this.counts[kind]++
        found({ kind, at, ...(record as Omit<TrialOutput, "kind" | "at">) })
      },
      watermark: () => {}
    })
    const select = (match: Readonly<Record<string, readonly object[]>>, of: Key) => ({
      key: of,
      steps: Object.entries(match).map(([step, events]) => ({ step, events }))
    })
    const late = into("late")
    const keyOf = (event: Recorded) => event[options.key] as Key
    const match = new PatternMatch({
      id: options.id,
      what: options.id,
      patterns: [{ id: options.id, what: options.spec, pattern, select, selectTimeout: select }],
      key,
      codec: NOT_KEPT,
      output: into("match"),
      timeouts: into("timedOut"),
      late: {
        next: (event, at) => late.next({ key: keyOf(event as Recorded), steps: [{ step: "", events: [event] }] }, at),
        watermark: () => {}
      }
    })
    this.head = keyBy(keyOf as (event: never) => Key, key, match)
  }

  /** Throws an error that names the line. */
  take(line: string, number: number): void {
    const { key, time, outOfOrdernessMs } = this.options
    const event = parsed(line, number)
    const [of, at] = [event[key], event[time]]
    if (typeof of !== "string" && typeof of !== "number") throw new Error(`line ${number} has no ${key} to be its key`)
    if (typeof at !== "number") throw new Error(`line ${number} has no ${time} in ms to be its time`)
    this.counts.events++
    this.head.next(event, at)
    this.latest = Math.max(this.latest, at)
    this.head.watermark(this.latest - outOfOrdernessMs - 1)
  }

  end(): TrialCounts {
    this.head.watermark(END_OF_TIME)
    return this.counts
  }
}

const parsed = (line: string, number: number): Recorded => {
  try {
    const value: unknown = JSON.parse(line)
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Recorded
  } catch {
    // Said below, with what is not an object.
  }
  throw new Error(`line ${number} is no JSON object`)
}

/** State that is never written. */
const NOT_KEPT: StoredCodec = {
  write: () => {
    throw new Error("A trial has no checkpoints")
  },
  read: () => {
    throw new Error("A trial has no checkpoints")
  }
}
