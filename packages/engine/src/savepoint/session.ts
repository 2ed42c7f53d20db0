import { Effect, Schedule } from "effect"
import type { JobConfig } from "../job.ts"
import type { Admin } from "../ports/clients.ts"

/**
 * Who is in a group once the sessions have ended of those who are not there any more: a member that was killed, or stopped
 * under a static name, counts until then. Nobody, where the broker does not say.
 */
export const remaining = (
  admin: Pick<Admin, "members">,
  group: string,
  { sessionTimeoutMs }: Pick<JobConfig, "sessionTimeoutMs">
) => {
  const again = { schedule: Schedule.spaced("1 second"), times: Math.ceil(sessionTimeoutMs / 1000) + 3 }
  return admin.members(group).pipe(
    Effect.retry({ ...again, while: ({ failure }) => failure === "Retry" }),
    Effect.map(members => members ?? []),
    Effect.tap(({ length }) =>
      length > 0 ? Effect.logInfo(`waiting until nobody is in the group ${group} any more`) : Effect.void
    ),
    Effect.repeat({ ...again, while: ({ length }) => length > 0 })
  )
}
