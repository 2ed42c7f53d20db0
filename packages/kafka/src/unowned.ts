import { type KafkaConfig, nameOf, type TopicPartition } from "@headrace/engine"
import { Effect, type Scope } from "effect"
import type { Admin, GroupMember } from "./admin.ts"
import { adminClient } from "./admin-client.ts"
import type { Consumer } from "./consumer.ts"
import { attemptSync } from "./port-error.ts"
import { attemptWith } from "./reports.ts"

/** Behind a start, which has other things to do. */
const FIRST_LOOK = "300 millis"
/** Most groups are at rest within a second; one that is not is looked at less and less often. */
const PAUSE_MS = { first: 150, growth: 1.1, most: 1_000 }
/**
 * Looks at which the same was nobody's. Between two rounds of a rebalance it is so for a heartbeat, and for as long as its owner takes to
 * commit what is open: a round that does not wait for that makes all wait for it, each with what it has. After each that was of no use
 * twice as many.
 */
const LOOKS = 3
/** Whoever ends meanwhile waits for a call that is under way. */
const CALL_MS = 2_000

interface Member {
  readonly group: string
  readonly member: string
  readonly topics: readonly string[]
}

/**
 * Has a group give partitions out anew that are nobody's though it is at rest; ends when all are somebody's. To be run for each
 * member that starts.
 *
 * A partition moves in two rounds: its owner is told to give it back, and asks to join again, whereupon it is given to another
 * member. A static member that is killed in between, and comes back before its session is over, is given what the first round
 * left to it, without a round; it has nothing to give back, and never asks. So nobody has the partition until somebody comes or goes.
 */
export const claimUnowned = (
  consumer: Consumer,
  config: typeof KafkaConfig.Type,
  self: Member
): Effect.Effect<void, never, Scope.Scope> => {
  if (config.settings["group.protocol"] === "consumer") return Effect.void
  const claim = Effect.gen(function* () {
    yield* Effect.sleep(FIRST_LOOK)
    const admin = yield* adminClient(config)
    let [before, looks, most, pauseMs] = ["", 0, LOOKS, PAUSE_MS.first]
    while (true) {
      const members = yield* attemptWith(admin, `read the members of ${self.group}`, () =>
        admin.members(self.group, CALL_MS)
      )
      if (members === undefined) return
      const found = unowned(members, self.member, yield* partitionsOf(admin, self.topics))
      if (found?.length === 0) return
      const now = found?.map(nameOf).join(", ") ?? ""
      looks = now === before && now !== "" ? looks + 1 : 1
      before = now
      if (looks >= most) {
        yield* Effect.logWarning(`${now} of ${self.group} is nobody's: the group is asked to give partitions out anew`)
        yield* attemptSync("ask the group to give partitions out anew", () => consumer.rejoin())
        ;[before, most] = ["", most * 2]
      }
      yield* Effect.sleep(pauseMs)
      pauseMs = Math.min(pauseMs * PAUSE_MS.growth, PAUSE_MS.most)
    }
  })
  const told = Effect.retry(Effect.scoped(claim), {
    while: error => error.failure === "Retry" || error.failure === "Unknown"
  })
  const looking = Effect.catch(told, error =>
    // Whoever leaves meanwhile has nothing to look for.
    error.failure === "Gone"
      ? Effect.void
      : Effect.logWarning(`Whether all partitions are given is not known: ${error.message}`)
  )
  return Effect.asVoid(Effect.forkScoped(looking))
}

/** What of these is nobody's; undefined while the group gives partitions out, or does not know of the member. */
export const unowned = (
  members: readonly GroupMember[],
  self: string,
  partitions: readonly TopicPartition[]
): readonly TopicPartition[] | undefined => {
  const given = new Set(members.flatMap(one => one.partitions.map(nameOf)))
  if (given.size === 0 || !members.some(({ name }) => name === self)) return undefined
  return partitions.filter(one => !given.has(nameOf(one)))
}

const partitionsOf = (admin: Admin, topics: readonly string[]) =>
  Effect.map(
    attemptWith(admin, "read metadata", () => admin.metadata(topics, CALL_MS)),
    found =>
      found.topics.flatMap(({ topic, partitions }) =>
        partitions.map(({ partition }): TopicPartition => ({ topic, partition }))
      )
  )
