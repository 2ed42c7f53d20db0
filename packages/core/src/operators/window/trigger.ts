/** What a trigger decides about its window's contents: nothing, to give them out, or also to forget them then. */
export type Decision = "continue" | "fire" | "fireAndPurge" | "purge"

/** A window as its trigger sees it. What may be written is the trigger's own, and state. */
export interface TriggerWindow {
  /** Its last ms; Infinity for the global one. */
  readonly maxTimestamp: number
  /** When it goes: behind its last ms by the allowed lateness. */
  readonly cleanupTime: number
  readonly watermark: number
  /** When `onTime` is to be called next, in event time; Infinity: at the end of time only. */
  timer: number
  /** Two numbers of the trigger's own: 0 and NaN in a new window. */
  count: number
  mark: number
}

/** Says when a window of events A gives out its contents. Pure: what it knows is in the window. */
export interface Trigger<in A = never> {
  /** What it does, as a person reads it. Another one finds no state that this one left. */
  readonly name: string
  /** Called once for each event that was added; the record is of use during the call only. */
  readonly onElement: (window: TriggerWindow, timestamp: number, record: A) => Decision
  /** Called when the watermark has passed the timer, which is at Infinity then: set it again to be called again. */
  readonly onTime: (window: TriggerWindow, time: number) => Decision
  /** Sessions became one: called before the event that joined them is counted. */
  readonly onMerge: (into: TriggerWindow, from: readonly Pick<TriggerWindow, "count" | "mark">[]) => void
}

/** Once the watermark passes the window's end, and then for each late event that still counts. */
export const eventTime: Trigger<unknown> = {
  name: "event time",
  onElement: window => {
    if (window.maxTimestamp <= window.watermark) return "fire"
    window.timer = window.maxTimestamp
    return "continue"
  },
  onTime: () => "fire",
  onMerge: () => {}
}

/** Never by itself: for the global window. */
export const never: Trigger<unknown> = {
  name: "never",
  onElement: () => "continue",
  onTime: () => "continue",
  onMerge: () => {}
}

/** At the end of the input only. */
export const endOfStream: Trigger<unknown> = {
  name: "end of stream",
  onElement: () => "continue",
  onTime: (_, time) => (time === Number.POSITIVE_INFINITY ? "fire" : "continue"),
  onMerge: () => {}
}

/** Each time that so many events have come. What is left at the end is not given out. */
export const count = (events: number): Trigger<unknown> => ({
  name: `every ${events} events`,
  onElement: window => {
    window.count++
    if (window.count < events) return "continue"
    window.count = 0
    return "fire"
  },
  onTime: () => "continue",
  onMerge: (into, from) => {
    into.count = from.reduce((sum, one) => sum + one.count, 0)
  }
})

/**
 * Each time that event time has gone on by an interval since the window's first event, on the grid of the interval,
 * and at the window's end. Goes on though no further event comes.
 */
export const continuous = (intervalMs: number): Trigger<unknown> => {
  /** The next firing is the mark. */
  const arm = (window: TriggerWindow, next: number): void => {
    window.mark = Math.min(next, window.maxTimestamp)
    window.timer = window.mark
  }
  return {
    name: `every ${intervalMs} ms`,
    onElement: (window, timestamp) => {
      if (window.maxTimestamp <= window.watermark) return "fire"
      if (Number.isNaN(window.mark)) arm(window, timestamp - (timestamp % intervalMs) + intervalMs)
      return "continue"
    },
    onTime: (window, time) => {
      if (time < window.maxTimestamp) arm(window, time + intervalMs)
      return "fire"
    },
    onMerge: (into, from) => {
      const next = Math.min(...from.map(({ mark }) => mark).filter(mark => !Number.isNaN(mark)))
      if (next < Number.POSITIVE_INFINITY) arm(into, next)
    }
  }
}

/** How often a window gives out its contents before its end, or behind it. */
export type Pace = { readonly events: number } | { readonly everyMs: number }

/**
 * At the window's end, and before it at one pace, where something came since the last time; late events are given out at
 * another one, and what is left of them when the window goes. Without a pace: nothing before the end, and each late event
 * at once. Intervals are of event time, on their grid.
 */
export const paced = ({ early, late }: { readonly early?: Pace; readonly late?: Pace }): Trigger<unknown> => {
  /** Counts what came since the last firing; the next firing by an interval is the mark. */
  const step = (window: TriggerWindow, pace: Pace, from: number, until: number): Decision => {
    window.count++
    if ("events" in pace && window.count >= pace.events) return restart(window, until)
    if ("everyMs" in pace)
      window.mark = earlier(window.mark, Math.floor(from / pace.everyMs) * pace.everyMs + pace.everyMs)
    window.timer = earlier(window.mark, until)
    return "continue"
  }
  const restart = (window: TriggerWindow, until: number): Decision => {
    window.count = 0
    window.mark = Number.NaN
    window.timer = until
    return "fire"
  }
  return {
    name: ["event time", ...shown("early", early), ...shown("late", late)].join(", "),
    onElement: (window, timestamp) => {
      const { maxTimestamp, cleanupTime, watermark } = window
      if (maxTimestamp <= watermark) return late === undefined ? "fire" : step(window, late, watermark, cleanupTime)
      window.timer = earlier(window.mark, maxTimestamp)
      return early === undefined ? "continue" : step(window, early, timestamp, maxTimestamp)
    },
    onTime: (window, time) => {
      const { maxTimestamp } = window
      if (time < maxTimestamp) return restart(window, maxTimestamp)
      // The end comes with all that there is, also if that was given out; behind it only what is new.
      return time > maxTimestamp && window.count === 0 ? "continue" : restart(window, Number.POSITIVE_INFINITY)
    },
    onMerge: (into, from) => {
      into.count = from.reduce((sum, one) => sum + one.count, 0)
      if (into.maxTimestamp <= into.watermark) return
      for (const { mark } of from) into.mark = earlier(into.mark, mark)
      into.timer = earlier(into.mark, into.maxTimestamp)
    }
  }
}

/** NaN is none. */
const earlier = (a: number, b: number): number => (Number.isNaN(a) ? b : Number.isNaN(b) ? a : Math.min(a, b))

const shown = (when: string, pace: Pace | undefined): readonly string[] => {
  if (pace === undefined) return []
  return [`${when} every ${"events" in pace ? `${pace.events} events` : `${pace.everyMs} ms`}`]
}

/** Forgets the contents whenever the other one gives them out: each result holds only what came since the last. */
export const purging = <A>(trigger: Trigger<A>): Trigger<A> => {
  const purge = (decision: Decision): Decision => (decision === "fire" ? "fireAndPurge" : decision)
  return {
    name: `${trigger.name}, purging`,
    onElement: (window, timestamp, record) => purge(trigger.onElement(window, timestamp, record)),
    onTime: (window, time) => purge(trigger.onTime(window, time)),
    onMerge: (window, from) => trigger.onMerge(window, from)
  }
}
