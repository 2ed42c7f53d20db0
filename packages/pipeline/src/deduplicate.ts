import type { Op } from "@headrace/core"
import type { Duration } from "effect"
import { milliseconds, plainName } from "./check.ts"
import { type Draft, nearest } from "./draft.ts"
import { check } from "./error.ts"
import type { KafkaSink } from "./sink.ts"
import { lateSink } from "./sinkDraft.ts"
import { keptCodec } from "./stateCodec.ts"

/** What is known of a key changes: a record comes (`+I`), is taken back (`-U`), or stands in the place of that (`+U`). */
export interface Change<out A> {
  /** How the record is meant. A `-U` goes before the `+U` that replaces it. */
  readonly op: Op
  /** What came, whole: of `-U` as it had been given out. */
  readonly record: A
}

/** Which record of each key a `deduplicate` step gives out, and when. Late is what comes behind a watermark that was said. */
export interface DeduplicateOptions<A, M extends "changes" | "once"> {
  /** Its state is found by it. */
  readonly id: string
  /** Which record of a key counts, by event time. */
  readonly keep: "first" | "last"
  /**
   * `changes`: what counts at once, as changes, since an earlier or later record may take its place. `once`, for the
   * first only: the record itself, when the watermark says that no earlier one will come.
   */
  readonly emit: M
  /**
   * How long a key is remembered behind the last change, in event time. Default: for ever. With `once` it is forgotten as the
   * watermark passes: whether a record counts that is further ahead of that may depend on batches.
   */
  readonly ttl?: Duration.Input
  /** Where late records go, with `once`. Without it they are counted and dropped. */
  readonly late?: KafkaSink<A>
}

export const deduplicateDraft = (input: Draft, options: DeduplicateOptions<never, "changes" | "once">): Draft => {
  const id = plainName("an id", options.id)
  check(nearest(input, "keyBy") !== undefined, () => `${id} has no key: call keyBy before deduplicate`)
  check(
    options.emit === "changes" || options.keep === "first",
    () => `${id} keeps the last record and gives out one only: the last one is never certain. Use emit: "changes"`
  )
  const codec = keptCodec(input, id, "records")
  const { keep, emit, late } = options
  return {
    id,
    fixed: true,
    inputs: [input],
    beside: late === undefined ? [] : [lateSink(late, id)],
    spec: {
      kind: "deduplicate",
      keep,
      emit,
      codec,
      ttlMs: options.ttl === undefined ? undefined : milliseconds(`the ttl of ${id}`, options.ttl, 1),
      late: late?.id
    }
  }
}
