import { LogError } from "../ports/log.ts"

/** Fenced this often within the window: somebody else runs under the same instance name. */
const LIMIT = 3
const WINDOW_MS = 60_000

/** Counts how often somebody else took over the identity of a lane's producers. */
export class Fences {
  private times: readonly number[] = []

  /** Fenced at `now` (ms): whether that was once too often. */
  add(now: number): boolean {
    this.times = [...this.times.filter(at => at > now - WINDOW_MS), now]
    return this.times.length >= LIMIT
  }
}

export const sameName = (id: string, error: LogError): LogError =>
  new LogError(
    "Stop",
    `Another process uses the transactional id ${id}: two instances of this app run under one name. Give each its own instance name. (${error.message})`,
    { cause: error }
  )
