import { existsSync, readFileSync } from "node:fs"

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** Linux counts a process's CPU time in hundredths of a second. */
const TICKS_PER_SECOND = 100
const UTIME = 13
const STIME = 14

/** CPU seconds that a process has used, all its threads; 0 for a process that cannot be seen. */
export const cpuSecondsOf = (pid: number): number => {
  const file = `/proc/${pid}/stat`
  if (!existsSync(file)) return 0
  const stat = readFileSync(file, "utf8")
  // The second field is the program's name, which may hold blanks and brackets.
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
  return (Number(fields[UTIME - 2]) + Number(fields[STIME - 2])) / TICKS_PER_SECOND
}

/** One measured way to process all events of the topic. */
export interface Measured {
  readonly events: number
  readonly seconds: number
  /** CPU seconds of this process with all its threads, and of the broker. */
  readonly ownCpu: number
  readonly brokerCpu: number
}

/** Measures what `run` (answering how many events it processed) takes. */
export const measured = async (
  brokerPid: number,
  run: () => Promise<{ events: number; seconds: number }>
): Promise<Measured> => {
  const own = cpuSecondsOf(process.pid)
  const broker = cpuSecondsOf(brokerPid)
  const { events, seconds } = await run()
  return { events, seconds, ownCpu: cpuSecondsOf(process.pid) - own, brokerCpu: cpuSecondsOf(brokerPid) - broker }
}
