import { type Admin, BlobError, Blobs, type ChangelogReader, Clients, LogError } from "@headrace/engine"
import { Context, Effect } from "effect"
import { checkpointPrefix } from "./engine.ts"
import { nameOf } from "./log.ts"
import { SOURCE } from "./pipelines.ts"
import { APP, type World } from "./world.ts"

const SLOW_DISK_MS = 1_000

/** Checkpoints on the simulated disk; each call may fail, and takes its turn. */
const blobs = (world: World, owner: object) => {
  const { disk, random } = world
  const call = <A>(what: string, name: string, answer: () => A): Effect.Effect<A, BlobError> =>
    Effect.suspend(() => {
      const slow = random.chance(world.faults.disk / 3)
      if (slow) world.inject("disk slow")
      return world.remote(owner, `${what} ${name}`, () => attempt(what, name, answer), {
        due: slow ? world.now + random.int(1, SLOW_DISK_MS) : 0
      })
    })
  const attempt = <A>(what: string, name: string, answer: () => A): Effect.Effect<A, BlobError> =>
    what === "put" && (disk.full || random.chance(world.faults.fail))
      ? Effect.fail(new BlobError({ message: `cannot ${what} ${name}`, cause: "simulated" }))
      : Effect.sync(answer)
  return Blobs.of({
    list: prefix => call("list", prefix, () => disk.under(prefix)),
    get: name =>
      Effect.flatMap(
        call("get", name, () => disk.files.get(name)),
        bytes => {
          if (disk.damaged.has(name)) world.inject("damaged checkpoint read")
          return bytes === undefined
            ? Effect.fail(new BlobError({ message: `${name} is gone`, cause: "simulated" }))
            : Effect.succeed(bytes)
        }
      ),
    put: (name, bytes) => call("put", name, () => disk.put(name, bytes)),
    remove: name => call("remove", name, () => disk.remove(name))
  })
}

/** Reads to the last stable offset in one go. */
export const changelogReader = (world: World, owner: object): ChangelogReader => ({
  read: (partition, offset, record) =>
    world.remote(owner, `read ${nameOf(partition)} from ${offset}`, () =>
      Effect.sync(() => {
        const log = world.log.at(partition)
        const from = offset === "beginning" ? 0 : offset
        if (log.start > from) return { start: log.start, end: from }
        const end = log.lso()
        for (let at = from; at < end; at++) {
          const value = log.committed(at)?.value
          if (value !== undefined) record(at, value, 0, value.length)
        }
        return { start: log.start, end }
      })
    ),
  written: partition =>
    world.remote(owner, `end of ${nameOf(partition)}`, () =>
      Effect.sync(() => (world.sabotage === "undecidedRead" ? 0 : world.log.at(partition).entries.length))
    )
})

const admin = (world: World, owner: object): Admin => ({
  partitions: topics => Effect.sync(() => new Map(topics.map(topic => [topic, world.log.topics.get(topic)!.length]))),
  create: () => Effect.void,
  trim: (partition, offset) =>
    world.remote(owner, `trim ${nameOf(partition)} to ${offset}`, () =>
      Effect.sync(() => {
        const log = world.log.at(partition)
        const to = world.sabotage === "trimmedTooFar" ? newest(world, partition.partition) : offset
        log.start = Math.max(log.start, to)
      })
    ),
  members: () =>
    world.remote(owner, "group members", () =>
      Effect.sync(() => [...world.group.members.values()].map(({ name }) => ({ name, partitions: [] })))
    )
})

/** The changelog offset of the newest checkpoint. */
const newest = (world: World, partition: number): number => {
  const name = world.disk.under(checkpointPrefix(APP, { topic: SOURCE, partition })).at(-1)!
  return Number.parseInt(name.slice(name.lastIndexOf("/") + 1), 10)
}

/** What restores and checkpoint rounds of one process need. */
export const storeServices = (world: World, owner: object): Context.Context<Blobs | Clients> => {
  const clients = Clients.of({
    source: () => Effect.fail(new LogError("Stop", "made by the node")),
    producer: () => Effect.fail(new LogError("Stop", "made by the node")),
    changelog: Effect.succeed(changelogReader(world, owner)),
    admin: Effect.succeed(admin(world, owner))
  })
  return world
    .services(owner)
    .pipe(Context.add(Blobs, blobs(world, owner)), Context.add(Clients, clients)) as Context.Context<Blobs | Clients>
}
