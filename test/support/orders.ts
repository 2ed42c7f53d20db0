import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startKafka, startRegistry } from "@headrace/dev"
import type { JobConfig } from "@headrace/engine"
import { createTopic, type Servers } from "./records.ts"

/** Servers with the topic that the pipeline of test/fixtures/orders.ts reads. */
export interface OrdersWorld {
  readonly servers: Servers
  /** A job of one lane; another app starts over. */
  readonly job: (app: string) => JobConfig
  readonly stop: () => Promise<void>
}

/** Starts Kafka and a registry, and makes the topic `orders` with three partitions. */
export const startOrders = async (): Promise<OrdersWorld> => {
  const directory = await mkdtemp(join(tmpdir(), "headrace-orders-"))
  const [kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  await createTopic(kafka, "orders", 3)
  return {
    servers: { bootstrap: kafka.bootstrap, registry: registry.url },
    job: app => ({
      app,
      instance: "test",
      module: join(import.meta.dir, "../fixtures/orders.ts"),
      lanes: 1,
      kafka: { bootstrap: kafka.bootstrap, settings: {} },
      registry: { url: registry.url },
      commitIntervalMs: 25,
      checkpoint: { store: { directory }, intervalMs: 60_000, retained: 2 },
      state: { laneBytes: Number.POSITIVE_INFINITY, directory: join(directory, "spill"), full: "stop" },
      sessionTimeoutMs: 10_000,
      lostOffsets: "stop",
      standby: 0,
      replication: 1
    }),
    stop: async () => {
      await Promise.all([kafka.stop(), registry.stop()])
      await rm(directory, { recursive: true, force: true })
    }
  }
}
