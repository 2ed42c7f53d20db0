import type { Change } from "../deduplicate.ts"
import {
  type IntervalOptions,
  intervalDraft,
  type JoinType,
  type JoinUpdates,
  type Left,
  type Right,
  type TableOptions,
  type TemporalOptions,
  tableDraft,
  temporalDraft,
  type WindowJoinOptions,
  windowJoinDraft
} from "../join.ts"
import type { Windowing } from "../window.ts"
import type { Stream } from "./stream.ts"
import { WindowSteps } from "./windows.ts"

type Revised<U extends JoinUpdates, C extends object> = U extends "retract" ? Change<C> : C

/** Joins with another stream, by key and window, by time, or as tables. */
export abstract class JoinSteps<out A extends object, out K, out E, out R> extends WindowSteps<A, K, E, R> {
  /**
   * Pairs records of both streams with the same key whose times lie within an interval of each other. A pair comes when its
   * second record does, at the later time of both; in outer joins a record that stays alone when the watermark says so.
   * `combine` is called once for each, on plain objects.
   */
  intervalJoin<B extends object, E2, R2, C extends object, const T extends JoinType = "inner">(
    right: Stream<B, K, E2, R2>,
    options: IntervalOptions<A, B, T>,
    combine: (left: Left<A, T>, right: Right<B, T>) => C
  ): Stream<C, K, E | E2, R | R2> {
    return this.behind(intervalDraft(this.last, right.last, options, combine))
  }

  /**
   * Pairs records of both streams that stand in the same window with the same key, at the end of the window and for each late
   * record that still counts, then all pairs anew, or only what has changed: see `JoinUpdates`. `combine` is called once for each
   * pair and firing, on plain objects.
   */
  windowJoin<
    B extends object,
    E2,
    R2,
    C extends object,
    const T extends JoinType = "inner",
    const U extends JoinUpdates = "repeat"
  >(
    right: Stream<B, K, E2, R2>,
    window: Windowing<A | B>,
    options: WindowJoinOptions<A, B, T, U>,
    combine: (left: Left<A, T>, right: Right<B, T>) => C
  ): Stream<Revised<U, C>, K, E | E2, R | R2> {
    return this.behind(windowJoinDraft(this.last, right.last, window, options, combine))
  }

  /**
   * Brings together all records of both streams that stand in the same window with the same key: one of the lists may be
   * empty. `combine` is called once for each key, window and firing, on plain objects in the order of their arrival; with
   * `updates: "retract"` also for what the window had given out before, which comes as `-U` and `+U`.
   */
  coGroup<B extends object, E2, R2, C extends object, const U extends JoinUpdates = "repeat">(
    right: Stream<B, K, E2, R2>,
    window: Windowing<A | B>,
    options: Omit<WindowJoinOptions<A, B, "inner", U>, "type">,
    combine: (left: readonly A[], right: readonly B[], key: K) => C
  ): Stream<Revised<U, C>, K, E | E2, R | R2> {
    return this.behind(windowJoinDraft(this.last, right.last, window, { ...options, type: "coGroup" }, combine))
  }

  /**
   * Joins each record with the version of its key that was valid at its time: the latest one on the right that is not later.
   * It waits until the watermarks of both streams have reached its time. `combine` is called once for each.
   */
  temporalJoin<B extends object, E2, R2, C extends object, const T extends "inner" | "left" = "inner">(
    versions: Stream<B, K, E2, R2>,
    options: TemporalOptions<B, T>,
    combine: (record: A, version: T extends "left" ? B | undefined : B) => C
  ): Stream<C, K, E | E2, R | R2> {
    return this.behind(temporalDraft(this.last, versions.last, options, combine))
  }

  /**
   * Joins each record with the row that a table, such as a compacted topic, has for its key when it comes. `combine` is
   * called once for each. Rows go by arrival: what is to go by event time is a `temporalJoin`.
   */
  tableJoin<B extends object, E2, R2, C extends object, const T extends "inner" | "left" = "inner">(
    table: Stream<B, K, E2, R2>,
    options: TableOptions<A, B, T>,
    combine: (record: A, row: T extends "left" ? B | undefined : B) => C
  ): Stream<C, K, E | E2, R | R2> {
    return this.behind(tableDraft(this.last, table.last, "stream", options, combine))
  }

  /**
   * Joins two tables to one: each change of a row on one side changes the result, which comes as changes. `combine` is called
   * twice for each: for the row before and for the row after it.
   */
  tableTableJoin<B extends object, E2, R2, C extends object, const T extends JoinType = "inner">(
    table: Stream<B, K, E2, R2>,
    options: TableOptions<A, B, T>,
    combine: (left: Left<A, T>, right: Right<B, T>) => C
  ): Stream<Change<C>, K, E | E2, R | R2> {
    return this.behind(tableDraft(this.last, table.last, "table", options, combine))
  }
}
