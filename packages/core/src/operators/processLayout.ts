/** Handle numbers of a process operator: the watermark, the timers, then the user's states by name. */
export const WATERMARK = 1
export const TIMERS = 2
export const PROCESSING_TIMERS = 3
export const FIRST_STATE = 4
