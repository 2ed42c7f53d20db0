import type { Node, Plan } from "headrace"
import type { JobConfig } from "./job.ts"

/** The names of a job's things in Kafka: found again after each restart, so they derive from the configuration alone. */

export const groupName = (job: JobConfig): string => job.app

/** What the transactional ids of an instance's lanes begin with. */
export const instancePrefix = (job: JobConfig): string => `${job.app}-${job.instance}-`

/** Static membership and transactional ids: one identity for each lane of each instance. */
export const laneName = (job: JobConfig, lane: number): string => `${instancePrefix(job)}${lane}`

/** The transactional ids of the lane of this name. */
export const idsOf = (lane: string): readonly [string, string] => [`${lane}-a`, `${lane}-b`]

export const transactionalIds = (job: JobConfig, lane: number): readonly [string, string] => idsOf(laneName(job, lane))

/** The changelog has the partitions of its source. */
export const changelogName = (app: string, source: string): string => `${app}-changelog-${source}`

export const sourceTopics = (plan: Plan): readonly string[] => [...new Set(of(plan, "source").map(node => node.topic))]

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
