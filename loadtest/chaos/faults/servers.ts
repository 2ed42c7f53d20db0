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
    return { mark, settle: () => broker.restart() }
  }
}
