import { exchangeTopics, outputTopics, sourceTopics } from "@headrace/engine"
import { Admin, Consumer, KafkaError } from "@headrace/kafka"
import type { Plan } from "headrace"
import { cpuSecondsOf, type Measured } from "../../bench/figures.ts"
import { endsOf, type Place } from "../../src/measure/reading.ts"
import type { KafkaAccess, RegistryAccess } from "../../src/options.ts"

/** Servers with the topics of `fill`. */
export interface Cluster {
  readonly kafka: KafkaAccess
  readonly registry: RegistryAccess
  /** 0: the broker is elsewhere. */
  readonly brokerPid: number
  readonly partitions: number
  readonly replication: number
}

/** A pipeline that runs in a process of its own. */
export interface Started {
  readonly pid: number
  readonly ended: () => boolean
  /** The end of what it printed. */
  readonly said: () => string
  readonly stop: () => Promise<void>
}

/** As clients take it. */
export const settingsOf = ({ kafka }: Pick<Cluster, "kafka">): Record<string, string> => ({
  ...kafka.settings,
  "bootstrap.servers": kafka.bootstrap
})

const CALL_MS = 10_000
const LOOK_MS = 50
/** Part of the events that is not measured, where there are enough: the group forms, and code is being compiled. */
const WARM_UP = 0.2
/** All stages are through when nothing has been committed for so long after the last event; that is not measured. */
const STILL_MS = 3_000
const STUCK_MS = 60_000

/**
 * A query over the filled topics, exactly once, by `headrace run` in a process of its own, which `start` starts under the name `app`.
 * Progress is what its group has committed, asked from outside, of the sources and of the topics between its stages. What
 * it wrote is removed.
 */
export const runOnKafka = async (
  cluster: Cluster,
  plan: Plan,
  app: string,
  start: () => Promise<Started>
): Promise<MeasuredRun> => {
  const group = Consumer.open({ ...settingsOf(cluster), "group.id": app })
  try {
    const sources = await endsOf(group, sourceTopics(plan), cluster.partitions)
    const between = exchangeTopics(plan, app).flatMap(topic => placesOf(topic, cluster.partitions))
    // The group's coordinator may take longer to be found than the query to its end: it is asked before.
    await committedOf(group, sources)
    const running = await start()
    try {
      return await follow(cluster, group, running, sources, between)
    } finally {
      await running.stop()
      await removeTopics(cluster, outputTopics(plan, app))
    }
  } finally {
    await group.close()
  }
}

export interface MeasuredRun extends Measured {
  /** All of the events were read between two looks, so that the start could not be left out. */
  readonly withStart: boolean
}

const placesOf = (topic: string, partitions: number) =>
  Array.from({ length: partitions }, (_, partition) => ({ topic, partition }))

/** So that what one query wrote is not in the way of the next. */
export const removeTopics = async (cluster: Cluster, topics: readonly string[]): Promise<void> => {
  const admin = Admin.open(settingsOf(cluster))
  await admin.deleteTopics(topics)
  await admin.close()
}

interface Mark {
  readonly events: number
  /** Of the stages behind the first one. */
  readonly stages: number
  readonly at: number
  readonly ownCpu: number
  readonly brokerCpu: number
}

const follow = async (
  cluster: Cluster,
  group: Consumer,
  { pid, ended, said }: Started,
  sources: readonly Place[],
  between: readonly Omit<Place, "offset">[]
): Promise<MeasuredRun> => {
  const total = sum(sources.map(({ offset }) => offset))
  const mark = (events: number, stages: number): Mark => ({
    ...{ events, stages, at: performance.now() },
    ...{ ownCpu: cpuSecondsOf(pid), brokerCpu: cpuSecondsOf(cluster.brokerPid) }
  })
  const start = mark(0, 0)
  let warm: Mark | undefined
  let last = start
  for (;;) {
    const events = sum(await committedOf(group, sources))
    const stages = sum(await committedOf(group, between))
    const at = performance.now()
    if (events !== last.events || stages !== last.stages) last = mark(events, stages)
    if (events >= total * WARM_UP) warm ??= last
    if (events === total && at - last.at > STILL_MS) break
    if (ended() || at - last.at > STUCK_MS)
      throw new Error(`the query stopped at ${events} of ${total} events:\n${said()}`)
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
  }
  const first = warm === undefined || warm.events === last.events ? start : warm
  return {
    withStart: first === start,
    events: last.events - first.events,
    seconds: (last.at - first.at) / 1000,
    ownCpu: last.ownCpu - first.ownCpu,
    brokerCpu: last.brokerCpu - first.brokerCpu
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)

/** Place by place; 0 where nothing is, or while the group's coordinator is on its way. */
const committedOf = async (group: Consumer, places: readonly Omit<Place, "offset">[]): Promise<readonly number[]> => {
  if (places.length === 0) return []
  try {
    const committed = await group.committed(
      places.map(({ topic, partition }) => ({ topic, partition })),
      CALL_MS
    )
    return committed.map(({ offset }) => Math.max(0, offset))
  } catch (error) {
    if (error instanceof KafkaError && error.reason === "BrokerGone") return places.map(() => 0)
    throw error
  }
}
