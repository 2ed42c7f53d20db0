import { Schedule } from "effect"
import type { JobConfig } from "../job.ts"

/** For how long a group is looked at again: a member that was killed, or stopped under a static name, counts until its session has timed out. */
export const untilSessionsEnd = ({ sessionTimeoutMs }: JobConfig) => ({
  schedule: Schedule.spaced("1 second"),
  times: Math.ceil(sessionTimeoutMs / 1000) + 3
})
