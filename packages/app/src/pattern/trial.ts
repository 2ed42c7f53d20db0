import {
  END_OF_TIME,
  type Key,
  keyBy,
  keyed,
  type Path,
  type PathStep,
  PatternMatch,
  type StoredCodec
} from "@headrace/core"
import { Pattern } from "headrace"

export interface TrialOptions {
  readonly id: string
  readonly spec: string
  /** The field that events are keyed by. */
  readonly key: string
}

export interface TrialOutput {
  readonly kind: "match" | "timedOut" | "late"
  readonly key: Key
  readonly at: number
  readonly steps: readonly { readonly step: string; readonly events: readonly object[] }[]
  /** How a match came about. */
  readonly path: readonly PathStep[]
}

export interface TrialCounts {
  events: number
  match: number
  timedOut: number
  late: number
  /** Records that could not be decoded. */
  undecodable: number
  /** Fields that the pattern asks about, and no event had so far. */
  readonly unseen: Set<string>
}

export type Recorded = Readonly<Record<string, unknown>>

/** Looks for a pattern in recorded events, as a job does. */
export class Trial {
  readonly counts: TrialCounts = {
    ...{ events: 0, match: 0, timedOut: 0, late: 0, undecodable: 0 },
    unseen: new Set()
  }
  private readonly key: string
  private readonly head: ReturnType<typeof keyBy>
  private readonly times = new WeakMap<object, number>()
  private found: TrialOutput[] = []

  constructor(options: TrialOptions) {
    this.key = options.key
    const key = keyed()
    const data: unknown = JSON.parse(options.spec)
    const spec = Pattern.readSpec(data)
    for (const field of fieldsOf(data)) this.counts.unseen.add(field)
    const pattern = Pattern.fromSpec(spec).done()
    const into = (kind: TrialOutput["kind"]) => ({
      next: (record: object, at: number) => {
        this.counts[kind]++
        this.found.push({ kind, at, ...(record as Omit<TrialOutput, "kind" | "at">) })
      },
      watermark: () => {}
    })
    const select = (match: Readonly<Record<string, readonly object[]>>, of: Key, path?: Path) => ({
      key: of,
      steps: Object.entries(match).map(([step, events]) => ({ step, events })),
      path: path?.() ?? []
    })
    const late = into("late")
    const keyOf = (event: Recorded) => event[options.key] as Key
    const match = new PatternMatch({
      id: options.id,
      what: options.id,
      patterns: [{ id: options.id, what: options.spec, pattern, select, selectTimeout: select }],
      key,
      counted: true,
      codec: NOT_KEPT,
      output: into("match"),
      timeouts: into("timedOut"),
      late: {
        next: (event, at) =>
          late.next({ key: keyOf(event as Recorded), steps: [{ step: "", events: [event] }], path: [] }, at),
        watermark: () => {}
      }
    })
    this.head = keyBy(keyOf as (event: never) => Key, key, match)
  }

  /** Answers with its time. `where` it was recorded: for the error, where it has no key, or nothing in `at`. */
  take(event: Recorded, at: unknown, where: string, time = "time"): number {
    const of = event[this.key]
    if (typeof of !== "string" && typeof of !== "number" && typeof of !== "bigint")
      throw new Error(`${where} has no ${this.key} to be its key`)
    if (typeof at !== "number") throw new Error(`${where} has no ${time} in ms to be its time`)
    this.counts.events++
    for (const field of this.counts.unseen) if (has(event, field)) this.counts.unseen.delete(field)
    this.times.set(event, at)
    this.head.next(event, at)
    return at
  }

  /** Of an event that was taken. */
  timeOf(event: object): number | undefined {
    return this.times.get(event)
  }

  watermark(time: number): void {
    this.head.watermark(time)
  }

  end(): void {
    this.head.watermark(END_OF_TIME)
  }

  /** What came out since it was last asked, in that order. */
  outputs(): readonly TrialOutput[] {
    const { found } = this
    this.found = []
    return found
  }
}

/** What conditions ask about, wherever they stand. */
const fieldsOf = (data: unknown): readonly string[] =>
  typeof data !== "object" || data === null
    ? []
    : Object.entries(data).flatMap(([name, one]) =>
        (name === "field" || name === "sum") && typeof one === "string" ? [one] : fieldsOf(one)
      )

/** Whether an event has a field, by its path. */
const has = (event: Recorded, field: string): boolean =>
  field.split(".").reduce<unknown>((at, name) => (at as Recorded | null | undefined)?.[name], event) !== undefined

/** State that is never written. */
const NOT_KEPT: StoredCodec = {
  write: () => {
    throw new Error("A trial has no checkpoints")
  },
  read: () => {
    throw new Error("A trial has no checkpoints")
  }
}
