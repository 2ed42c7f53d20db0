import { type ExchangeNode, inputsOf, type Node, type Plan } from "headrace"
import type { JobConfig } from "./job.ts"
import type { TopicPartition } from "./ports/log.ts"

/** The names of a job's things in Kafka: found again after each restart, so they derive from the configuration alone. */

export const groupName = (job: JobConfig): string => job.app

/** The group that a sink outside of Kafka reads with: one for each job and sink, whatever instances run it. */
export const sinkGroup = (app: string, nodeId: string): string => `${app}-${nodeId}`

/** Between the parts of a lane's name. Neither an app's nor an instance's name may have it, nor begin or end with a dot. */
export const SEPARATOR = ".."

/** What the transactional ids of an app's lanes begin with, and those of no other one. */
export const appPrefix = (job: Pick<JobConfig, "app">): string => `${job.app}${SEPARATOR}`

/** The same of an instance's lanes. */
export const instancePrefix = (job: Pick<JobConfig, "app" | "instance">): string =>
  `${appPrefix(job)}${job.instance}${SEPARATOR}`

/** Static membership and transactional ids: one identity for each lane of each instance. */
export const laneName = (job: JobConfig, lane: number): string => `${instancePrefix(job)}${lane}`

/** The transactional ids of the lane of this name. */
export const idsOf = (lane: string): readonly [string, string] => [`${lane}-a`, `${lane}-b`]

export const transactionalIds = (job: JobConfig, lane: number): readonly [string, string] => idsOf(laneName(job, lane))

/** The changelog has the partitions of the topic whose state it holds. */
export const changelogName = (app: string, topic: string): string => `${app}-changelog-${topic}`

/** What the pipeline reads that others write. */
export const sourceTopics = (plan: Plan): readonly string[] => [...new Set(of(plan, "source").map(node => node.topic))]

/** The topic between two stages: what crosses in exchanges of this log. */
export const exchangeName = (app: string, log: string): string => `${app}-exchange-${log}`

/** In the order of the stages. */
export const exchangeTopics = (plan: Plan, app: string): readonly string[] => [
  ...new Set(of(plan, "exchange").map(({ log }) => exchangeName(app, log)))
]

/** The exchanges that share a topic. A record names its own by the place in this list. */
export const exchangesOf = (plan: Plan, app: string, topic: string): readonly ExchangeNode[] =>
  of(plan, "exchange").filter(({ log }) => exchangeName(app, log) === topic)

/** All that a job reads: the sources, and behind them its own topics between two stages. Numbers of topics are places in it. */
export const inputTopics = (plan: Plan, app: string): readonly string[] => [
  ...sourceTopics(plan),
  ...exchangeTopics(plan, app)
]

/** Its partitions. `counts`: how many each topic has. */
export const inputPartitions = (
  plan: Plan,
  app: string,
  counts: ReadonlyMap<string, number>
): readonly TopicPartition[] =>
  inputTopics(plan, app).flatMap(topic =>
    Array.from({ length: counts.get(topic)! }, (_, partition) => ({ topic, partition }))
  )

/** All that a job writes in its transactions. Ids of output topics are places in it. */
export const outputTopics = (plan: Plan, app: string): readonly string[] => [
  ...sinkTopics(plan),
  ...exchangeTopics(plan, app),
  ...inputTopics(plan, app).map(topic => changelogName(app, topic))
]

/** The topics whose records flow into an exchange. */
export const upstreamTopics = (plan: Plan, app: string, exchange: ExchangeNode): readonly string[] => {
  const topicsAt = (id: string): readonly string[] => {
    const node = plan.nodes.find(one => one.id === id)!
    if (node.kind === "source") return [node.topic]
    return node.kind === "exchange" ? [exchangeName(app, node.log)] : inputsOf(node).flatMap(topicsAt)
  }
  return [...new Set(topicsAt(exchange.input))]
}

/** The topics that the plan writes to, dead letters included. */
export const sinkTopics = (plan: Plan): readonly string[] => {
  const sinks = of(plan, "kafkaSink").map(node => node.topic)
  const undecodable = of(plan, "source").flatMap(({ onDecodeError }) =>
    onDecodeError.kind === "deadLetter" ? [onDecodeError.topic] : []
  )
  const givenUp = of(plan, "mapEffect").flatMap(node => node.deadLetters)
  return [...new Set([...sinks, ...undecodable, ...givenUp])]
}

/** The nodes of one kind, in the plan's order. */
export const of = <K extends Node["kind"]>(plan: Plan, kind: K): readonly Extract<Node, { kind: K }>[] =>
  plan.nodes.filter((node): node is Extract<Node, { kind: K }> => node.kind === kind)
