import { Effect, type Scope } from "effect"
import { nowMs } from "../clock.ts"
import type { LaneJob } from "../lane/job.ts"
import { nameOf } from "../lane/tasks.ts"
import { LaneMetrics } from "../metrics.ts"
import { appPrefix, changelogName, groupName, inputTopics, laneName } from "../names.ts"
import type { Blobs } from "../ports/blobs.ts"
import { Clients, type GroupMember } from "../ports/clients.ts"
import type { LogError, TopicPartition } from "../ports/log.ts"
import type { PartitionProgress } from "../recovery/progress.ts"
import { type Restored, type RestoreOptions, restoreTask, settleReplica } from "../recovery/restore.ts"
import type { Outputs } from "../task/outputs.ts"
import type { Task } from "../task/task.ts"
import { Departed } from "./departed.ts"
import { Followers } from "./followers.ts"
import { ownedBy } from "./owned.ts"
import { shareOf } from "./share.ts"

/** How long a lane that took the place of another one may wait for its partitions. */
const INHERITS_WITHIN_MS = 60_000

type MakeTask = (partition: TopicPartition, outputs: () => Outputs) => Task

/** How a lane comes by the state of its partitions. */
export interface Standby {
  /** A task whose state was followed, where there is one; else a new one. */
  readonly makeTask: MakeTask
  /** Brings it to where the group stands: from where its follower left it, or from the newest checkpoint. */
  readonly restore: (
    options: RestoreOptions,
    task: Task,
    part: PartitionProgress
  ) => Effect.Effect<Restored, LogError, Blobs>
  /** From now on the lane is a member of the group. `owned`: what it has been given. */
  readonly join: (owned: () => readonly TopicPartition[]) => Effect.Effect<void>
}

/**
 * Follows the partitions that the lane may be given, for as long as the scope lives. Before it is admitted to the group:
 * those of the member of its own name, which runs in the process whose place it is to take. Afterwards: its share of what
 * others own. `partitions`: how many each topic has.
 */
export const openStandby = (
  options: LaneJob,
  partitions: ReadonlyMap<string, number>,
  makeTask: MakeTask
): Effect.Effect<Standby, LogError, Clients | Blobs | Scope.Scope> =>
  Effect.gen(function* () {
    const { job, admitted } = options
    const clients = yield* Clients
    const scope = yield* Effect.scope
    const admin = yield* clients.admin
    const members = admin.members(groupName(job))
    let owned: (() => readonly TopicPartition[]) | undefined
    let joinedAt = Number.POSITIVE_INFINITY
    // A lane without copies that joins at once is given its partitions at once: there is nothing to follow.
    const followers =
      job.standby === 0 && admitted === undefined
        ? undefined
        : yield* openFollowers(options, partitions, makeTask, members, () => owned && { owned: owned(), joinedAt })
    const departed = new Departed({
      self: laneName(job, options.lane),
      open: admin.transactions(appPrefix(job)),
      members: Effect.map(members, all => all?.map(({ name }) => name)),
      abort: id => Effect.scoped(Effect.flatMap(clients.producer(id, []), one => one.initialise()))
    })
    const settled = departed
      .settle()
      .pipe(Effect.catch(error => Effect.logWarning(`What dead lanes left open is not ended: ${error.message}`)))
    const settleDeparted = Effect.asVoid(Effect.forkIn(settled, scope))
    return {
      makeTask: (partition, outputs) => followers?.take(partition, outputs) ?? makeTask(partition, outputs),
      restore: (options, task, part) =>
        Effect.andThen(
          settleDeparted,
          // What was followed is there once: whoever tries again begins with the checkpoint.
          Effect.suspend(
            () =>
              followers?.withTaken(task, (replica, changelog) =>
                settleReplica({ ...options, changelog }, replica, part)
              ) ?? restoreTask(options, task, part)
          )
        ),
      join: given =>
        Effect.map(nowMs, now => {
          owned = given
          joinedAt = now
        })
    }
  })

/** What a lane has of its group, and when it joined. */
interface Joined {
  readonly owned: readonly TopicPartition[]
  readonly joinedAt: number
}

/** `joined`: undefined while the lane is not in its group. */
const openFollowers = (
  { plan, job, lane, metrics, admitted }: LaneJob,
  partitions: ReadonlyMap<string, number>,
  makeTask: MakeTask,
  members: Effect.Effect<readonly GroupMember[] | undefined, LogError>,
  joined: () => Joined | undefined
): Effect.Effect<Followers, LogError, Clients | Blobs | Scope.Scope> =>
  Effect.gen(function* () {
    const clients = yield* Clients
    const sources = new Map(inputTopics(plan, job.app).map(topic => [topic, partitions.get(topic)!]))
    const share = shareOf(sources, { lane, lanes: job.lanes, copies: job.standby })
    let inherited: readonly TopicPartition[] = []
    const predecessors = Effect.map(members, all => {
      const owned = ownedBy(laneName(job, lane), all)
      inherited = owned ?? inherited
      return owned
    })
    const before = admitted === undefined ? Effect.succeed(inherited) : predecessors
    const others = ({ owned, joinedAt }: Joined, now: number) => {
      const names = new Set(owned.map(nameOf))
      // What is not given to it within this time went to others.
      if (now > joinedAt + INHERITS_WITHIN_MS) inherited = []
      const wanted = new Map([...share, ...inherited].map(one => [nameOf(one), one]))
      return [...wanted.values()].filter(one => !names.has(nameOf(one)))
    }
    const followers = new Followers({
      app: job.app,
      // Not the lane's own: its restores do not wait for what is followed.
      changelog: yield* clients.changelog,
      changelogTopic: topic => changelogName(job.app, topic),
      metrics: new LaneMetrics(),
      gauges: metrics,
      makeTask,
      wanted: Effect.suspend(() => {
        const now = joined()
        return now === undefined ? before : Effect.map(nowMs, at => others(now, at))
      })
    })
    yield* Effect.forkScoped(followers.run)
    return followers
  })
