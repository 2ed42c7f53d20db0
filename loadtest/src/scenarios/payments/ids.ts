/** An event id is `run (11 bits) | thread (6 bits) | sequence (36 bits)`: a safe integer, dense for each thread. */
const SEQUENCES = 2 ** 36
const THREADS = 64
export const RUNS = 2 ** 11

/** The thread number of closing events, which no audit counts. */
export const CLOSING_THREAD = THREADS - 1

/** The most generator threads that a run can have. */
export const MAX_THREADS = CLOSING_THREAD

/** The id of the first event of a thread; the others count up from it. */
export const firstId = (run: number, thread: number): number => (run * THREADS + thread) * SEQUENCES

export const runOf = (id: number): number => Math.floor(id / (SEQUENCES * THREADS))
export const threadOf = (id: number): number => Math.floor(id / SEQUENCES) % THREADS
export const sequenceOf = (id: number): number => id % SEQUENCES
