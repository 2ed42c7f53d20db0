import { join, resolve } from "node:path"
import type { JobConfig } from "@headrace/engine"
import type { Settings } from "./settings.ts"
import { stateDirectory, storeOf } from "./store.ts"

/** The plain values that threads get. `name` is the pipeline's. */
export const jobOf = (settings: Settings, name: string): JobConfig => {
  const app = settings.app ?? name
  const { kafka, registry, clickhouse } = settings.clusters
  return {
    app,
    instance: settings.instance,
    module: settings.pipeline,
    lanes: settings.lanes,
    kafka: { bootstrap: kafka.bootstrap, settings: kafka.settings },
    registry,
    ...(clickhouse === undefined ? {} : { clickhouse }),
    commitIntervalMs: settings.commit.interval,
    commitMarkers: settings.commit.markers,
    checkpoint: {
      store: storeOf(settings.checkpoint.store ?? join(stateDirectory(), app, "checkpoints"), settings.checkpoint.s3),
      intervalMs: settings.checkpoint.interval,
      retained: settings.checkpoint.retained
    },
    state: {
      laneBytes: settings.state.memory / Math.max(1, settings.lanes),
      directory: resolve(settings.state.directory ?? join(stateDirectory(), app, "spill")),
      full: settings.state.full
    },
    sessionTimeoutMs: settings.session.timeout,
    lostOffsets: settings.offsets.lost,
    standby: settings.standby,
    replication: settings.topics.replication
  }
}
