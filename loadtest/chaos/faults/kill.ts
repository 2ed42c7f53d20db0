import { existsSync } from "node:fs"
import type { Instance } from "../instance.ts"
import { API, apiOf, clientOf } from "../net/units.ts"
import { type Checkpointing, nextCheckpoint } from "./checkpoints.ts"
import { between, catchNext, type Fault, killAndRestart, limited, type Scene, victimOf } from "./fault.ts"

type When = "before" | "after"

/** At any moment of a process that runs. */
export const killed: Fault = {
  name: "kill -9, restarted",
  group: "kill",
  where: "kafka",
  inject: async scene => {
    await scene.world.pause(between(scene.random, 0, 1500))
    return { mark: await killAndRestart(scene.world, victimOf(scene)) }
  }
}

/** It stays away: the others take its partitions over once its session is over. */
export const takenOver: Fault = {
  name: "kill -9, taken over",
  group: "kill",
  where: "kafka",
  session: true,
  inject: async ({ world, ...rest }) => {
    const victim = victimOf({ world, ...rest })
    // It has something that others have a copy of, and the group is at rest: one that is moving waits for nobody's heartbeat.
    if (!(await world.shared())) throw new Error("the instances have not come to their shares")
    // The session counts from the last heartbeat: at any moment between two.
    await world.pause(between(rest.random, 0, 1500))
    const mark = world.mark()
    await victim.kill()
    return { mark, settle: () => back(world, victim) }
  }
}

const back = async (world: Scene["world"], victim: Instance): Promise<void> => {
  victim.start()
  await world.settled(`${victim.name} came back`)
}

/** At a request to Kafka: before it has left the machine, or when it was answered and the answer is not there yet. */
const atRequest = (name: string, api: number, when: When): Fault => ({
  name: `kill -9 ${when} ${name}`,
  group: "kill",
  where: "kafka",
  inject: async scene => {
    const victim = victimOf(scene)
    const { kafka } = scene.world.servers.links
    const held = await catchNext(scene, kafka, one => apiOf(one) === api && victim.isClient(clientOf(one)))
    if (when === "after") await held.swallowAnswer()
    return { mark: await killAndRestart(scene.world, victim) }
  }
})

/** The same of an insert into ClickHouse. */
const atInsert = (when: When): Fault => ({
  name: `kill -9 ${when} ClickHouse insert`,
  group: "kill",
  where: "clickhouse",
  inject: async scene => {
    const { clickhouse } = scene.world.servers.links
    // Whose insert comes first: an instance may have no partition of the table.
    const caught = scene.world.instances.map(victim =>
      catchNext(scene, clickhouse, isInsert, victim.name).then(held => ({ held, victim }))
    )
    const { held, victim } = await Promise.any(caught)
    for (const other of caught)
      void other.then(
        one => one.victim === victim || one.held.forward(),
        () => {}
      )
    if (when === "after") await held.swallowAnswer()
    return { mark: await killAndRestart(scene.world, victim) }
  }
})

/** Of rows: the ledger's rows name the topic, which is called like the table. */
const isInsert = (chunk: Buffer): boolean => {
  const head = chunk.toString("latin1", 0, 1000)
  return head.startsWith("POST") && /INSERT(\+|%20| )INTO(\+|%20| )[^ +]{0,60}balances/i.test(head)
}

/** Beside its place, or just there. */
const atCheckpoint = (when: When): Fault => ({
  name: `kill -9 ${when} checkpoint rename`,
  group: "kill",
  where: "kafka",
  inject: async ({ world }) => {
    const { writer, path }: Checkpointing = await nextCheckpoint(world, when)
    const mark = await killAndRestart(world, writer)
    if (when === "before" && existsSync(path)) {
      await world.settled(`${writer.name} was killed`)
      throw new Error("the checkpoint had got its name before the kill came")
    }
    return { mark }
  }
})

/** Again, while it reads the changelog. */
const duringRestore: Fault = {
  name: "kill -9 during restore",
  group: "kill",
  where: "kafka",
  inject: async scene => {
    const { world } = scene
    const victim = victimOf(scene)
    await victim.kill()
    victim.start()
    // Changelog readers have no client id but the instance's own.
    const isRestore = (one: Buffer) => apiOf(one) === API.fetch && clientOf(one) === victim.name
    await world.servers.links.kafka.seen(isRestore, limited(world))
    return { mark: await killAndRestart(world, victim) }
  }
}

/** While it waits for what the group gives it. */
const inRebalance: Fault = {
  name: "kill -9 in mid-rebalance",
  group: "kill",
  where: "kafka",
  inject: async scene => {
    const { world } = scene
    const victim = victimOf(scene)
    const { kafka } = world.servers.links
    world.guest.start()
    // With KIP-848 a member hears of it, and answers, by heartbeats.
    const isNext = world.options.protocol === "classic" ? API.syncGroup : API.consumerGroupHeartbeat
    const isJoin = (one: Buffer) => apiOf(one) === isNext && world.guest.isLane(clientOf(one))
    if (world.options.protocol === "consumer") await kafka.seen(isJoin, limited(world))
    const next = catchNext(scene, kafka, one => apiOf(one) === isNext && victim.isLane(clientOf(one)))
    await next.catch(async error => {
      await leave(world)
      throw error
    })
    const mark = await killAndRestart(world, victim)
    return { mark, settle: () => leave(world) }
  }
}

/** A static member that goes keeps its partitions until its session is over. */
export const leave = async (world: Scene["world"]): Promise<void> => {
  await world.guest.stop()
  await world.settled(`${world.guest.name} left`)
}

/** Kills at named points, each of them. */
export const namedKills: readonly Fault[] = [
  ...(["before", "after"] as const).flatMap(when => [
    atRequest("produce", API.produce, when),
    atRequest("sendOffsets", API.txnOffsetCommit, when),
    atRequest("EndTxn", API.endTxn, when),
    atInsert(when),
    atCheckpoint(when)
  ]),
  duringRestore,
  inRebalance
]
