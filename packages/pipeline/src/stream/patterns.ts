import type { Draft } from "../draft.ts"
import { dynamicDraft } from "../dynamicPatterns.ts"
import { type EventOptions, type MatchOptions, matchDraft, type Selected, selected } from "../match.ts"
import type { Pattern } from "../pattern.ts"
import type { Match as DynamicMatch, Topic } from "../patterns.ts"
import { type NotKeyedProcess, ProcessSteps } from "./processes.ts"
import type { MatchedStream } from "./stream.ts"

/** Patterns in the events of each key. */
export abstract class PatternSteps<out A extends object, out K, out E, out R> extends ProcessSteps<A, K, E, R> {
  /**
   * Finds a pattern in the events of each key, in the order of event time: what it looks at waits until the watermark has reached
   * it. A pattern under another structure finds no state that this one left.
   */
  match<Names extends string, B extends object, T extends object = never>(
    id: [K] extends [never] ? NotKeyedProcess : string,
    pattern: Pattern<A, Names>,
    options: MatchOptions<A, K, Names, B, T>
  ): MatchedStream<B, K, E, R, T> {
    const one = selected(id as string, pattern, options)
    return this.behindPattern(matchDraft(this.last, id as string, [one.of], one.of.what, options))
  }

  /**
   * Finds several patterns in the same events, which are kept and put in order once; what patterns ask of an event alone, by the
   * same function, is asked once. State is found again by the step's id and the pattern's: patterns may come and go, and
   * of one that has changed the partial matches are dropped, and counted.
   */
  matchAll<B extends object, T extends object = never>(
    id: [K] extends [never] ? NotKeyedProcess : string,
    patterns: readonly Selected<A, K, B, T>[],
    options: EventOptions<A> = {}
  ): MatchedStream<B, K, E, R, T> {
    const all = patterns.map(one => one.of)
    return this.behindPattern(matchDraft(this.last, id as string, all, "patterns", options as never))
  }

  /**
   * Finds patterns that come as data while the job runs: `Patterns.topic` says on which topic. All partitions take up a change
   * at one event time. Events, and patterns, go through one log in any case, so that they have one order.
   */
  matchDynamic(
    id: [K] extends [never] ? NotKeyedProcess : string,
    patterns: Topic,
    options: EventOptions<A> = {}
  ): MatchedStream<DynamicMatch<A, K>, K, E, R, DynamicMatch<A, K>> {
    return this.behindPattern(dynamicDraft(this.last, id as string, patterns, options as never))
  }

  /** The stream that ends with this search for patterns. */
  protected abstract behindPattern<B extends object, K2, E2, R2, T extends object>(
    last: Draft
  ): MatchedStream<B, K2, E2, R2, T>
}
