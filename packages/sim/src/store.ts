import {
  type Admin,
  BlobError,
  Blobs,
  CHUNK_BYTES,
  type ChangelogReader,
  Clients,
  changelogName,
  type GroupOffsets,
  LogError,
  SavepointBlobs,
  type TopicPartition
} from "@headrace/engine"
import { Context, Effect, Stream } from "effect"
import { checkpointPrefix } from "./engine.ts"
import { NO_FAULTS } from "./faults.ts"
import { nameOf } from "./log.ts"
import type { Random } from "./random.ts"
import { APP, World } from "./world.ts"

const SLOW_DISK_MS = 1_000
const MOST_CUTS = 1
/** How often others get their turn between two chunks of a file that is written. */
const PAUSE = 0.1
/** How often a read of a changelog is cut before its end. */
const CUT = 0.3

/**
 * Checkpoints on the simulated disk. Each call may fail or be slow, and takes its turn; objects come and go in pieces, so
 * that they may rot, be removed or be cut off in the middle.
 */
const blobs = (world: World, owner: object) => {
  const { disk, random } = world
  const call = <A>(label: string, answer: () => A, fails = 0): Effect.Effect<A, BlobError> =>
    Effect.suspend(() => {
      const slow = random.chance(world.faults.disk / 3)
      if (slow) world.inject("disk slow")
      const attempt = () => (random.chance(fails) ? Effect.fail(broken(label)) : Effect.sync(answer))
      return world.remote(owner, label, attempt, { due: slow ? world.now + random.int(1, SLOW_DISK_MS) : 0 })
    })

  const read = (name: string): Stream.Stream<Uint8Array, BlobError> =>
    Stream.unwrap(
      Effect.map(
        call(`get ${name}`, () => disk.files.get(name), disk.unreadable.has(name) ? 1 : world.faults.fail / 3),
        bytes => {
          if (disk.damaged.has(name)) world.inject("damaged checkpoint read")
          return bytes === undefined ? Stream.fail(gone(name)) : delivered(name, bytes)
        }
      )
    )
  /** A file that was opened can be read to its end, even if it is removed meanwhile. */
  const delivered = (name: string, bytes: Uint8Array) =>
    Stream.fromIterable(pieces(random, bytes), { chunkSize: 1 }).pipe(
      Stream.mapEffect((piece, i) =>
        i === 0 ? Effect.succeed(piece) : call(`get more of ${name}`, () => piece, world.faults.fail / 3)
      )
    )

  const put = <E, R>(name: string, bytes: Stream.Stream<Uint8Array, E, R>) =>
    Effect.gen(function* () {
      const written: Uint8Array[] = []
      yield* Stream.runForEach(bytes, chunk => {
        written.push(chunk)
        return random.chance(PAUSE) ? stored(`put some of ${name}`, () => {}) : Effect.void
      })
      yield* stored(`put ${name}`, () => disk.put(name, Buffer.concat(written)))
    })
  /** May find no room, or nobody there: what is written so far is dropped. */
  const stored = (label: string, answer: () => void): Effect.Effect<void, BlobError> =>
    Effect.suspend(() => {
      const cut = disk.full || random.chance(world.faults.fail)
      if (cut) world.inject("put cut off")
      return call(label, answer, cut ? 1 : 0)
    })

  return Blobs.of({
    list: prefix =>
      call(
        `list ${prefix}`,
        () => disk.under(prefix).map(name => ({ name, bytes: disk.size(name) })),
        world.faults.fail / 3
      ),
    read,
    put,
    remove: name => call(`remove ${name}`, () => disk.remove(name))
  })
}

const broken = (what: string) =>
  new BlobError({ failure: "Unavailable", message: `cannot ${what}`, cause: "simulated" })
const gone = (name: string) => new BlobError({ failure: "Missing", message: `${name} is gone`, cause: "simulated" })

/** Cut anywhere, and where a piece would be larger than any may be. */
const pieces = (random: Random, bytes: Uint8Array): readonly Uint8Array[] => {
  const anywhere = Array.from({ length: random.int(0, MOST_CUTS) }, () => random.int(0, bytes.length))
  const needed = Array.from({ length: Math.floor(bytes.length / CHUNK_BYTES) }, (_, i) => (i + 1) * CHUNK_BYTES)
  const cuts = [...anywhere, ...needed].sort((a, b) => a - b)
  return [0, ...cuts].map((start, i) => bytes.slice(start, cuts[i] ?? bytes.length))
}

/** Reads to the last stable offset, a piece at a time: commits and trims come between two of them. */
export const changelogReader = (world: World, owner: object): ChangelogReader => ({
  read: (partition, offset, record) =>
    Effect.gen(function* () {
      const name = nameOf(partition)
      const from = offset === "beginning" ? 0 : offset
      let at = from
      for (let label = `read ${name} from ${offset}`; ; label = `read more of ${name} from ${at}`) {
        const { start, next, ended } = yield* world.remote(owner, label, () => piece(world, partition, at, record))
        // It is gone from the log before it was read, also where the read has begun.
        if (start > at) return { start, end: from }
        at = next
        if (ended) return { start: from, end: at }
      }
    }),
  ahead: () => Effect.void,
  written: partition =>
    world.remote(owner, `end of ${nameOf(partition)}`, () =>
      Effect.sync(() => (world.sabotage === "undecidedRead" ? 0 : world.log.at(partition).entries.length))
    ),
  stable: partition =>
    world.remote(owner, `stable end of ${nameOf(partition)}`, () => Effect.sync(() => world.log.at(partition).lso()))
})

/** Some records from there on. `ended`: there are no more, or the reader has enough. */
const piece = (
  world: World,
  partition: TopicPartition,
  from: number,
  record: Parameters<ChangelogReader["read"]>[2]
): Effect.Effect<{ start: number; next: number; ended: boolean }, LogError> =>
  Effect.suspend(() => {
    const { random, faults } = world
    if (random.chance(faults.fail / 20)) {
      world.inject("changelog read cut off")
      return Effect.fail(new LogError("Retry", `simulated: no end of ${nameOf(partition)}`))
    }
    const log = world.log.at(partition)
    const { start } = log
    if (start > from) return Effect.succeed({ start, next: from, ended: true })
    const end = log.lso()
    const cut = random.chance(CUT) && end > from + 1 ? random.int(from + 1, end) : end
    for (let at = from; at < cut; at++) {
      const value = log.committed(at)?.value
      if (value !== undefined && !record(at, value, 0, value.length))
        return Effect.succeed({ start, next: at + 1, ended: true })
    }
    return Effect.succeed({ start, next: cut, ended: cut === end })
  })

export const adminOf = (world: World, owner: object): Admin => ({
  partitions: topics =>
    Effect.sync(() => {
      const found = topics.map(topic => [topic, world.log.topics.get(topic)?.length ?? 0] as const)
      return new Map(found.filter(([, partitions]) => partitions > 0))
    }),
  settings: () => Effect.succeed(new Map()),
  create: topics =>
    world.remote(owner, `create ${topics.map(({ topic }) => topic)}`, () =>
      Effect.sync(() => {
        for (const { topic, partitions } of topics)
          if (!world.log.topics.has(topic)) world.log.create(topic, partitions)
      })
    ),
  remove: topics =>
    world.remote(owner, `remove ${topics}`, () =>
      Effect.sync(() => {
        for (const topic of topics) world.log.topics.delete(topic)
      })
    ),
  trim: (partition, offset) =>
    world.remote(owner, `trim ${nameOf(partition)} to ${offset}`, () =>
      Effect.suspend(() => {
        const log = world.log.at(partition)
        const to = world.sabotage === "trimmedTooFar" ? (newest(world, partition) ?? offset) : offset
        const trim = () => {
          log.start = Math.max(log.start, to)
        }
        if (!world.random.chance(world.faults.fail * 2)) return Effect.sync(trim)
        world.inject("request late")
        world.call(undefined, `late trim of ${nameOf(partition)} to ${to}`, trim, { weight: 1 })
        return Effect.fail(new LogError("Unknown", `simulated: a trim of ${nameOf(partition)} is not answered`))
      })
    ),
  members: () =>
    world.remote(owner, "group members", () =>
      Effect.sync(() => [...world.group.members.values()].map(({ name }) => ({ name, partitions: [] })))
    ),
  transactions: prefix =>
    world.remote(owner, "open transactions", () =>
      Effect.sync(() => ({ ids: world.log.open().filter(id => id.startsWith(prefix)), silent: null }))
    )
})

/** The changelog offset of the newest checkpoint; undefined for what is no changelog. */
const newest = (world: World, { topic, partition }: TopicPartition): number | undefined => {
  const of = changelogName(APP, "")
  if (!topic.startsWith(of)) return undefined
  const name = world.disk.under(checkpointPrefix(APP, { topic: topic.slice(of.length), partition })).at(-1)!
  return Number.parseInt(name.slice(name.lastIndexOf("/") + 1), 10)
}

/** Of the lanes' group, as its coordinator knows them at the moment. */
const marksOf = (world: World, partitions: readonly TopicPartition[]) =>
  partitions.map(({ topic, partition }) => {
    const kept = world.remembered.get(nameOf({ topic, partition }))
    return kept && { topic, partition, offset: kept.offset, metadata: kept.metadata }
  })

const stableMarks = (world: World, owner: object, partitions: readonly TopicPartition[]) =>
  world.remote(owner, `committed ${partitions.map(nameOf)}`, () => Effect.sync(() => marksOf(world, partitions)), {
    ready: () => !partitions.some(one => world.log.unstable(nameOf(one)))
  })

/** The lanes' group from outside. */
export const groupOffsets = (world: World, owner: object): GroupOffsets => ({
  marks: partitions => stableMarks(world, owner, partitions),
  latest: partitions =>
    world.remote(owner, `latest ${partitions.map(nameOf)}`, () =>
      world.random.chance(world.faults.fail)
        ? Effect.fail(new LogError("Retry", "simulated failure of reading committed offsets"))
        : Effect.sync(() => {
            const marks = marksOf(world, partitions)
            return world.sabotage === "besideLost" ? marks.map(mark => mark && { ...mark, metadata: "" }) : marks
          })
    ),
  ends: partitions =>
    world.remote(owner, `ends of ${partitions.map(nameOf)}`, () =>
      world.random.chance(world.faults.fail)
        ? Effect.fail(new LogError("Retry", "simulated failure of reading the ends of partitions"))
        : Effect.sync(() => partitions.map(one => world.log.at(one).lso()))
    ),
  committed: partitions => Effect.map(stableMarks(world, owner, partitions), found => found.map(mark => mark?.offset)),
  commit: positions =>
    world.remote(owner, "commit offsets", () =>
      world.group.members.size > 0
        ? Effect.fail(new LogError("Stop", "the group has members"))
        : Effect.sync(() => {
            world.log.commitOffsets(positions.map(one => ({ ...one, name: nameOf(one) })))
          })
    ),
  range: partition =>
    world.remote(owner, `range of ${nameOf(partition)}`, () =>
      Effect.sync(() => {
        const log = world.log.at(partition)
        return { start: log.start, end: log.lso() }
      })
    ),
  keys: (from, visit) =>
    world.remote(owner, `keys of ${nameOf(from)}`, () =>
      Effect.sync(() => {
        const log = world.log.at(from)
        for (let offset = from.offset; offset < log.lso(); offset++) {
          const record = log.committed(offset)
          if (record !== undefined) visit(offset, record.key)
        }
      })
    )
})

/** What restores, checkpoint rounds and savepoints of one process need. */
export const storeServices = (world: World, owner: object): Context.Context<Blobs | SavepointBlobs | Clients> => {
  const clients = Clients.of({
    source: () => Effect.fail(new LogError("Stop", "made by the node")),
    producer: () => Effect.fail(new LogError("Stop", "made by the node")),
    changelog: Effect.succeed(changelogReader(world, owner)),
    admin: Effect.succeed(adminOf(world, owner)),
    offsets: () => Effect.succeed(groupOffsets(world, owner))
  })
  const disk = blobs(world, owner)
  return world
    .services(owner)
    .pipe(
      Context.add(Blobs, disk),
      Context.add(SavepointBlobs, disk),
      Context.add(Clients, clients)
    ) as Context.Context<Blobs | SavepointBlobs | Clients>
}

/** Runs effects on a simulated disk where nothing goes wrong: for the suite that all stores go through. */
export const runBlobs = () => {
  const world = new World(1, undefined, undefined)
  world.faults = NO_FAULTS
  return <A, E>(effect: Effect.Effect<A, E, Blobs>): Promise<A> =>
    new Promise((resolve, reject) => {
      let ended = false
      const end = () => {
        ended = true
      }
      const owner = {}
      const done = (value: A) => resolve(value)
      world.fork(owner, "ended", storeServices(world, owner), Effect.ensuring(effect, Effect.sync(end)), done, reject)
      world.drain()
      while (!ended || world.calls.length > 0) {
        const call = world.calls[0]
        if (call === undefined) return reject(new Error("Nothing is under way, and it has not ended"))
        world.now = Math.max(world.now, call.due)
        world.cancel(call)
        call.run()
        world.drain()
      }
    })
}
