import {
  type Admin,
  type Batch,
  type ChangelogReader,
  Clients,
  type Membership,
  type NewTopic,
  type Position,
  type Producer,
  type TopicPartition
} from "@headrace/engine"
import { Effect, Layer } from "effect"
import type { MemoryLog } from "./log.ts"

const EMPTY: Batch = { bytes: new Uint8Array(0), index: new Int32Array(0), stamps: new Float64Array(0), count: 0 }

/**
 * A cluster for one lane that never fails, in memory: the lane's protocol runs as it is, and nothing is between it and the
 * log.
 */
export const memoryClients = (log: MemoryLog): Layer.Layer<Clients> => {
  const topics = new Map<string, NewTopic["config"]>([...log.ends.keys()].map(topic => [topic, {}]))
  return Layer.succeed(
    Clients,
    Clients.of({
      source: options =>
        Effect.sync(() => {
          log.read = options.topics
          return membership(log)
        }),
      producer: (id, written) => Effect.sync(() => producer(id, log, written)),
      changelog: Effect.succeed(changelog),
      admin: Effect.succeed(admin(topics)),
      offsets: () => Effect.die(new Error("Nobody looks at a group from outside here"))
    })
  )
}

const membership = (log: MemoryLog): Membership => {
  const topics = log.read
  const all: readonly TopicPartition[] = topics.map(topic => ({ topic, partition: 0 }))
  const sought = new Set<string>()
  let given = false
  const poll = (): { readonly batch: Batch; readonly changes: readonly [] } | undefined => {
    const batch = sought.size === all.length ? log.next() : undefined
    return batch && { batch, changes: [] }
  }
  return {
    topic: id => topics[id]!,
    poll: (_, timeoutMs) => {
      if (given) return Effect.callback(resume => void soon(log, poll, timeoutMs, one => resume(Effect.succeed(one))))
      given = true
      return Effect.succeed({ batch: EMPTY, changes: [{ type: "assign", partitions: all }] })
    },
    take: () => Effect.void,
    pause: () => Effect.die(new Error("A lane that never fails has no reason to go back")),
    seek: positions => Effect.sync(() => positions.forEach(({ topic }) => void sought.add(topic))),
    unassign: () => Effect.void,
    committed: partitions => Effect.succeed(partitions.map(({ topic }) => log.committed.get(topic))),
    range: ({ topic }) => Effect.sync(() => ({ start: 0, end: log.ends.get(topic) ?? 0 })),
    ends: partitions => Effect.sync(() => partitions.map(({ topic }) => log.ends.get(topic) ?? 0)),
    knownEnd: ({ topic }) => log.ends.get(topic),
    member: undefined,
    close: Effect.void
  }
}

type Polled = { readonly batch: Batch; readonly changes: readonly [] }

/** Answers in a turn of its own, as a client does: with what is there, or once something comes, or with nothing. */
const soon = (
  log: MemoryLog,
  poll: () => Polled | undefined,
  timeoutMs: number,
  answer: (one: Polled) => void
): void => {
  setImmediate(() => {
    const there = poll()
    if (there !== undefined) return answer(there)
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = (): void => {
      clearTimeout(timer)
      log.whenMore(() => {})
      answer(poll() ?? { batch: EMPTY, changes: [] })
    }
    timer = setTimeout(late, timeoutMs)
    log.whenMore(late)
  })
}

const producer = (id: string, log: MemoryLog, written: readonly string[]): Producer => {
  let batches: Batch[] = []
  let offsets: readonly Position[] = []
  return {
    id,
    initialise: () => Effect.void,
    begin: () =>
      Effect.sync(() => {
        batches = []
        offsets = []
      }),
    produce: outputs => Effect.sync(() => void batches.push(...log.readBack(outputs, written))),
    flush: () => Effect.void,
    sendOffsets: positions =>
      Effect.sync(() => {
        offsets = positions
      }),
    commit: () => Effect.sync(() => log.commit(batches, offsets)),
    poisoned: () => false
  }
}

/** A job that starts for the first time: nothing is in its changelogs. */
const changelog: ChangelogReader = {
  read: () => Effect.succeed({ start: 0, end: 0 }),
  ahead: () => Effect.void,
  written: () => Effect.succeed(0),
  stable: () => Effect.succeed(0)
}

const admin = (topics: Map<string, NewTopic["config"]>): Admin => ({
  partitions: names => Effect.sync(() => new Map(names.filter(name => topics.has(name)).map(name => [name, 1]))),
  settings: names => Effect.sync(() => new Map(names.map(name => [name, topics.get(name) ?? {}]))),
  create: created => Effect.sync(() => created.forEach(({ topic, config }) => void topics.set(topic, config))),
  remove: names => Effect.sync(() => names.forEach(name => void topics.delete(name))),
  trim: () => Effect.void,
  members: () => Effect.succeed([]),
  transactions: () => Effect.succeed(undefined)
})
