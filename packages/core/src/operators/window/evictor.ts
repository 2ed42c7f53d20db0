/** An element of a window. */
export interface Element {
  /** Its event time in ms. */
  readonly timestamp: number
  /** The whole event where the evictor is `ofRecords`, else what is left of it. */
  readonly record: object
}

/** Takes elements out of a window for good, before it gives out what is left. */
export interface Evictor {
  /** What it does, as a person reads it. */
  readonly name: string
  /** Which of the elements stay: they stand in the order of their arrival. Called once for each firing. */
  readonly keep: <E extends Element>(elements: readonly E[]) => readonly E[]
  /** It looks at the records: they are kept whole. */
  readonly ofRecords?: boolean | undefined
}

/** Keeps the last so many that came. */
export const last = (elements: number): Evictor => ({
  name: `the last ${elements}`,
  keep: all => all.slice(Math.max(0, all.length - elements))
})

/** Keeps what is at most so much older than the newest, by event time. */
export const within = (durationMs: number): Evictor => ({
  name: `within ${durationMs} ms`,
  keep: all => {
    const newest = all.reduce((latest, { timestamp }) => Math.max(latest, timestamp), Number.NEGATIVE_INFINITY)
    return all.filter(({ timestamp }) => timestamp > newest - durationMs)
  }
})
