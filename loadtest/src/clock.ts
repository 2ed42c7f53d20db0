/** Ms since the epoch with a fraction; the same clock in every thread of a machine. */
export const now = (): number => performance.timeOrigin + performance.now()
