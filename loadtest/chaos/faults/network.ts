import { OPEN, type Shape } from "../net/pipe.ts"
import type { World } from "../world.ts"
import { between, type Fault, type Scene, victimOf } from "./fault.ts"

type Server = "kafka" | "registry" | "clickhouse"

const NAMES: Readonly<Record<Server, string>> = { kafka: "Kafka", registry: "registry", clickhouse: "ClickHouse" }

/** A line to one server that is bad for some seconds. The registry is asked only by who starts, so somebody does. */
const badLine = (
  server: Server,
  what: string,
  begin: (scene: Scene) => void,
  ms: readonly [number, number]
): Fault => ({
  name: `${NAMES[server]} ${what}`,
  group: "other",
  where: server === "clickhouse" ? "clickhouse" : "kafka",
  inject: async scene => {
    const { world, random } = scene
    begin(scene)
    try {
      if (server === "registry") await startAnew(scene)
      await world.pause(between(random, ...ms))
    } finally {
      world.servers.links[server].heal()
    }
    return { mark: world.mark() }
  }
})

const startAnew = async (scene: Scene): Promise<void> => {
  const victim = victimOf(scene)
  await victim.kill()
  victim.start()
}

const link = (world: World, server: Server) => world.servers.links[server]

const shaped = (server: Server, what: string, shape: Partial<Shape>): Fault =>
  badLine(server, what, ({ world }) => link(world, server).set({ ...OPEN, ...shape }), [5000, 8000])

/** Connections break and none can be made; or nothing passes, no end of it is told, and all of it arrives afterwards. */
const cut = (server: Server): Fault =>
  badLine(
    server,
    "cut off",
    ({ world, random }) => {
      if (random.below(2) === 0) link(world, server).cut()
      else link(world, server).set({ frozen: true })
    },
    [1000, 6000]
  )

export const networkFaults: readonly Fault[] = (["kafka", "registry", "clickhouse"] as const).flatMap(server => [
  cut(server),
  shaped(server, "+50 ms", { delayMs: 50 }),
  shaped(server, "1 Mbit/s", { bytesPerSecond: 125_000 })
])
