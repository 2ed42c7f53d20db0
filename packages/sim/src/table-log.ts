import { type Batch, type CommittedLog, LogError, type Mark, type Position } from "@headrace/engine"
import { Effect } from "effect"
import type { Group } from "./group.ts"
import type { Partition } from "./log.ts"
import type { Memory } from "./memory.ts"
import { batchOf, type Fetched, type SimSource } from "./source.ts"
import type { World } from "./world.ts"

const READ_AT_ONCE = 5

/** The offsets of a sink's group, with what was written beside them. */
export type Marks = Map<number, Mark>

export interface TableLogParts {
  readonly world: World
  readonly owner: object
  readonly source: SimSource
  readonly group: Group
  readonly marks: Marks
  /** The same, as the coordinator answers. */
  readonly remembered: Memory<number, Mark>
  readonly topic: readonly Partition[]
}

/** What a sink reads: the committed records of a topic, as a member of a group of its own. */
export const tableLog = (parts: TableLogParts): CommittedLog => {
  const { world, owner, source, topic } = parts
  const commits = new Commits(parts)
  let paused = false
  const call = <A>(what: string, answer: () => A): Effect.Effect<A, LogError> =>
    world.remote(owner, `${source.name} ${what}`, () =>
      world.random.chance(world.faults.fail / 4)
        ? Effect.fail(new LogError("Retry", `simulated failure of ${what}`))
        : Effect.try({ try: answer, catch: error => error as LogError })
    )
  const pausing = (to: boolean): Effect.Effect<void, LogError> =>
    call(to ? "pause" : "resume", () => {
      paused = to
    })
  return {
    poll: maxRecords =>
      Effect.suspend(() => {
        source.begin()
        return call("poll", () => source.poll(paused ? 0 : maxRecords))
      }),
    assign: positions => call("assign", () => source.assign(positions)),
    unassign: partitions => call("unassign", () => source.unassign(partitions)),
    seek: positions => call("seek", () => source.seek(positions)),
    pause: () => pausing(true),
    resume: () => pausing(false),
    committed: partitions =>
      call("committed", () => partitions.map(({ partition }) => parts.remembered.get(partition))),
    commit: marks => Effect.suspend(() => commits.commit(marks)),
    range: ({ partition }) => call("range", () => ({ start: 0, end: topic[partition]!.lso() })),
    ends: partitions => call("ends", () => partitions.map(({ partition }) => topic[partition]!.lso())),
    read: (from, last, visit) => read(parts, call, from, last, visit)
  }
}

/** A few records at a time, from outside of the group. */
const read = <E>(
  parts: TableLogParts,
  call: <A>(what: string, answer: () => A) => Effect.Effect<A, LogError>,
  { partition, offset }: Position,
  last: number,
  visit: (batch: Batch) => Effect.Effect<void, E>
): Effect.Effect<void, LogError | E> =>
  Effect.gen(function* () {
    const log = parts.topic[partition]!
    for (let at = offset; at <= last; ) {
      const records: Fetched[] = []
      const next = yield* call("read", () => {
        let position = at
        for (; position < log.lso() && records.length < READ_AT_ONCE; position++) {
          const record = log.committed(position)
          if (record !== undefined) records.push({ topic: 0, partition, offset: position, record })
        }
        return position
      })
      yield* visit(batchOf(records))
      at = next
    }
  })

/** Offset commits of one member, fenced by its epoch, with what the network does to them. */
class Commits {
  private readonly parts: TableLogParts
  /** Of the last request: older ones that are still on their way do not arrive any more (see "Not covered"). */
  private last = ""

  constructor(parts: TableLogParts) {
    this.parts = parts
  }

  commit(marks: readonly Mark[]): Effect.Effect<void, LogError> {
    const { world, owner, source, group } = this.parts
    const { name, incarnation, epoch, letGo } = source.metadata()
    const text = JSON.stringify(marks)
    this.last = text
    const apply = (): Effect.Effect<void, LogError> => {
      const member = group.member(name, incarnation)
      if (member === undefined || member.epoch !== epoch || letGo)
        return Effect.fail(new LogError("Fenced", `illegal generation of ${name}`))
      for (const mark of marks) this.parts.marks.set(mark.partition, mark)
      return Effect.void
    }
    const later = (weight: number): void => {
      const arrive = () => (this.last === text ? Effect.runSync(Effect.ignore(apply())) : undefined)
      world.call(undefined, `${name} late plan`, arrive, { weight })
    }
    const answer = (): Effect.Effect<void, LogError> => {
      // Broken: said to be committed before it is.
      if (world.sabotage === "planNotAwaited") return Effect.sync(() => later(1))
      const fate = this.fate()
      if (fate === "ok") return apply()
      world.inject(fate)
      if (fate === "request late") later(1)
      const lost = Effect.fail(new LogError("Unknown", `${name}: ${fate}`))
      return fate === "answer lost" ? Effect.andThen(apply(), lost) : lost
    }
    return world.remote(owner, `${name} plan`, answer)
  }

  private fate() {
    const { random, faults } = this.parts.world
    return random.chance(faults.fail) ? random.pick(["answer lost", "request lost", "request late"] as const) : "ok"
  }
}
