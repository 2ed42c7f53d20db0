import type { Kafka } from "@headrace/dev"
import { Admin } from "@headrace/kafka"
import type { World } from "../world.ts"
import { between, type Fault } from "./fault.ts"

/** In good order or by `kill -9`, away for a few seconds, and back with the same data. */
export const brokerRestart: Fault = {
  name: "broker stopped and started",
  group: "broker",
  where: "kafka",
  inject: async ({ world, random }) => {
    const kafka = world.servers.brokers[0]!
    if (random.below(2) === 0) await kafka.restart()
    else {
      await kafka.kill()
      await world.pause(between(random, 500, 3000))
      await kafka.restart()
    }
    return { mark: world.mark() }
  }
}

export const clickhouseDown: Fault = {
  name: "ClickHouse down",
  group: "other",
  where: "clickhouse",
  inject: async ({ world, random }) => {
    const { clickhouse } = world.servers
    await clickhouse.kill()
    await world.pause(between(random, 1000, 4000))
    await clickhouse.restart()
    return { mark: world.mark() }
  }
}

export const clickhouseSlow: Fault = {
  name: "ClickHouse slow (+2 s)",
  group: "other",
  where: "clickhouse",
  inject: async ({ world }) => {
    const { clickhouse } = world.servers.links
    clickhouse.down.shape = { ...clickhouse.down.shape, delayMs: 2000 }
    await world.pause(6000)
    clickhouse.heal()
    return { mark: world.mark() }
  }
}

/** The others go on; it comes back afterwards. */
export const oneOfThreeKilled: Fault = {
  name: "one broker of three killed",
  group: "broker",
  where: "kafka",
  inject: async ({ world, random }) => {
    const { brokers } = world.servers
    const broker = brokers[random.below(brokers.length)]!
    const mark = world.mark()
    await broker.kill()
    return { mark, settle: () => backInSync(world, broker) }
  }
}

/** One is back and answers, but has not caught up: no majority of the copies is in sync, and writes wait for it. */
export const secondOfThreeKilled: Fault = {
  name: "a second broker killed while one of three catches up",
  group: "broker",
  where: "kafka",
  inject: async ({ world, random }) => {
    const { brokers } = world.servers
    const first = random.below(brokers.length)
    const second = brokers[(first + between(random, 1, brokers.length)) % brokers.length]!
    await brokers[first]!.kill()
    await brokers[first]!.restart()
    const mark = world.mark()
    await second.kill()
    return { mark, settle: () => backInSync(world, second) }
  }
}

const LOOK_EVERY_MS = 100

/** Started again, and until each partition has all of its copies in sync: then one may be killed again. */
const backInSync = async (world: World, broker: Kafka): Promise<void> => {
  await broker.restart()
  const { signal, patienceMs } = world.options
  const admin = Admin.open({ "bootstrap.servers": world.servers.bootstrap })
  const deadline = performance.now() + patienceMs
  try {
    while (!signal.aborted && !(await areInSync(admin))) {
      if (performance.now() > deadline)
        throw new Error(`copies are not in sync ${patienceMs} ms after a broker came back`)
      await world.pause(LOOK_EVERY_MS)
    }
  } finally {
    await admin.close()
  }
}

const areInSync = (admin: Admin): Promise<boolean> =>
  admin.metadata("all").then(
    // One that has just come back may not know of any topic yet.
    ({ topics }) =>
      topics.length > 0 &&
      topics.every(({ partitions }) => partitions.every(({ inSync, replicas }) => inSync === replicas)),
    // It is asked again: brokers come and go.
    () => false
  )
