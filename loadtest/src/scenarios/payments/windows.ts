/** The size of the windows of the payments pipeline. */
export const WINDOW_MS = 10_000

/** How far behind the newest event of its partition an event may come and still be on time. */
export const BOUND_MS = 20_000

/** The start of the window that an event time falls into. */
export const windowStart = (at: number): number => at - (at % WINDOW_MS)
