import { type Blobs, type ChangelogReader, Clients, changelogName, type SavepointBlobs } from "@headrace/engine"
import { Context, Effect } from "effect"
import { readHeader } from "./engine.ts"
import { storeServices } from "./store.ts"
import { APP, type World } from "./world.ts"

/** What a process needs that takes or restores a savepoint. */
export type ToolServices = Blobs | SavepointBlobs | Clients

export const toolServices = (world: World, tool: object): Context.Context<ToolServices> => {
  const services = storeServices(world, tool)
  const clients = Context.get(services, Clients)
  const broken = Effect.map(clients.changelog, reader => ({ ...reader, read: readBroken(world, reader.read) }))
  return world.sabotage === "savepointStale" || world.sabotage === "savepointInFlight"
    ? Context.add(services, Clients, { ...clients, changelog: broken })
    : services
}

/** What the broken protocols read of the job's logs: not what is between the stages, or not the last change of state. */
const readBroken =
  (world: World, read: ChangelogReader["read"]): ChangelogReader["read"] =>
  (partition, offset, record, between) => {
    const isChangelog = partition.topic.startsWith(changelogName(APP, ""))
    if (world.sabotage === "savepointInFlight" && !isChangelog) return read(partition, offset, () => true, between)
    if (world.sabotage !== "savepointStale" || !isChangelog) return read(partition, offset, record, between)
    const all: Parameters<typeof record>[] = []
    const keep: typeof record = (...one) => all.push(one) > 0
    return Effect.tap(read(partition, offset, keep, between), () =>
      Effect.sync(() => {
        all.forEach(([at, bytes, start, end], i) => {
          const last = i === all.length - 1
          record(at, bytes, start, last ? readHeader(bytes, start, end).changes : end)
        })
      })
    )
  }
