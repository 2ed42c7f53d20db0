import { type Admin, BlobError, Blobs, type ChangelogReader, Clients, LogError } from "@headrace/engine"
import { Context, Effect } from "effect"
import { nameOf } from "./log.ts"
import type { World } from "./world.ts"

/** Checkpoints in memory; each call may fail, and takes its turn. */
const blobs = (world: World, owner: object) => {
  const call = <A>(what: string, name: string, answer: () => A): Effect.Effect<A, BlobError> =>
    world.remote(owner, `${what} ${name}`, () =>
      Effect.suspend(() => {
        if (what === "put" && world.random.chance(world.faults.fail))
          return Effect.fail(new BlobError({ message: `cannot ${what} ${name}`, cause: "simulated" }))
        return Effect.sync(answer)
      })
    )
  return Blobs.of({
    list: prefix => call("list", prefix, () => [...world.blobs.keys()].filter(name => name.startsWith(prefix)).sort()),
    get: name => {
      return Effect.flatMap(
        call("get", name, () => world.blobs.get(name)),
        bytes =>
          bytes === undefined
            ? Effect.fail(new BlobError({ message: `${name} is gone`, cause: "simulated" }))
            : Effect.succeed(bytes)
      )
    },
    put: (name, bytes) => call("put", name, () => void world.blobs.set(name, bytes.slice())),
    remove: name => call("remove", name, () => void world.blobs.delete(name))
  })
}

/** Reads to the last stable offset in one go. */
export const changelogReader = (world: World, owner: object): ChangelogReader => ({
  read: (partition, offset, record) =>
    world.remote(owner, `read ${nameOf(partition)} from ${offset}`, () =>
      Effect.sync(() => {
        const log = world.log.at(partition)
        const end = log.lso()
        for (let at = Math.max(log.start, offset === "beginning" ? 0 : offset); at < end; at++) {
          const value = log.committed(at)?.value
          if (value !== undefined) record(at, value, 0, value.length)
        }
        return { start: log.start, end }
      })
    ),
  written: partition =>
    world.remote(owner, `end of ${nameOf(partition)}`, () => Effect.sync(() => world.log.at(partition).entries.length))
})

const admin = (world: World, owner: object): Admin => ({
  partitions: topics => Effect.sync(() => new Map(topics.map(topic => [topic, world.log.topics.get(topic)!.length]))),
  create: () => Effect.void,
  trim: (partition, offset) =>
    world.remote(owner, `trim ${nameOf(partition)} to ${offset}`, () =>
      Effect.sync(() => {
        const log = world.log.at(partition)
        log.start = Math.max(log.start, offset)
      })
    )
})

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
