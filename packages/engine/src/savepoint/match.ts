import {
  type Comparison,
  clockDefinition,
  compareState,
  type Difference,
  type StateDefinition,
  type StateDescriptor,
  showStateChange,
  stageDefinition
} from "@headrace/core"
import { inputsOf, type Node, type Plan } from "headrace"
import { exchangeName, inputTopics, of } from "../names.ts"
import { definitionOf, isStateful } from "../task/operators.ts"
import type { Manifest, OperatorContents } from "./manifest.ts"

/** What a plan keeps for each partition of the topics that it reads. */
export const definitionsOf = (plan: Plan, app: string): ReadonlyMap<string, readonly StateDefinition[]> =>
  new Map(
    inputTopics(plan, app).map(topic => [
      topic,
      plan.nodes.flatMap(node => (topicOf(plan, app, node) === topic ? definitionsAt(node) : []))
    ])
  )

/** What the state that a plan keeps is told and read by, of all operators. */
export interface KeptState extends StateDescriptor {
  /** The topic whose partitions hold it: a source, or one between two stages. */
  readonly topic: string
}

export const stateOf = (plan: Plan, app: string): readonly KeptState[] =>
  [...definitionsOf(plan, app)].flatMap(([topic, all]) => all.map(({ id, schema }) => ({ topic, id, schema })))

const definitionsAt = (node: Node): readonly StateDefinition[] => {
  if (node.kind === "source") return [clockDefinition(node.id)]
  if (node.kind === "exchange") return [stageDefinition(node.id)]
  return isStateful(node) ? [definitionOf(node)] : []
}

const topicOf = (plan: Plan, app: string, node: Node): string | undefined => {
  if (node.kind === "source") return node.topic
  if (node.kind === "exchange") return exchangeName(app, node.log)
  const [first] = inputsOf(node)
  const input = plan.nodes.find(one => one.id === first)
  return input === undefined ? undefined : topicOf(plan, app, input)
}

/** What becomes of one operator of the savepoint. */
export interface Matched {
  readonly contents: OperatorContents
  /** Undefined: the pipeline does not have it. */
  readonly own: StateDefinition | undefined
  readonly comparison: Comparison | undefined
}

export interface Match {
  /** By the topic that the savepoint has them under. */
  readonly operators: readonly Matched[]
  /** Ids of the pipeline that begin empty. */
  readonly added: readonly string[]
}

/** Topics of the pipeline by the topic of the savepoint whose place they take. */
export type Renamed = ReadonlyMap<string, string>

/** The same for topics between stages: those of the exchanges that have the ids of the savepoint's. */
export const withStages = (manifest: Manifest, plan: Plan, app: string, renamed: Renamed): Renamed => {
  const stages = manifest.operators.flatMap(({ id, topic, schema }): [string, string][] => {
    const ids = idsOf(id, renamed)
    const node = schema.kind === "stage" ? of(plan, "exchange").find(one => ids.includes(one.id)) : undefined
    return node === undefined ? [] : [[topic, exchangeName(app, node.log)]]
  })
  return new Map([...stages, ...renamed])
}

/** Finds the operators of a savepoint in a plan, by their ids. `renamed`: topics between stages among them. */
export const matchOperators = (manifest: Manifest, plan: Plan, app: string, renamed: Renamed): Match => {
  const definitions = definitionsOf(plan, app)
  const operators = manifest.operators.map((contents): Matched => {
    const ofTopic = definitions.get(renamed.get(contents.topic) ?? contents.topic) ?? []
    const own = idsOf(contents.id, renamed).flatMap(id => ofTopic.filter(one => one.id === id))[0]
    return { contents, own, comparison: own && compareState(contents, own) }
  })
  const found = new Set(operators.map(({ own }) => own))
  const added = [...definitions.values()].flatMap(all => all.filter(one => !found.has(one)).map(one => one.id))
  return { operators, added }
}

/** Ids that were not given are made of the topic's name: under the new name they are the same steps. */
const idsOf = (id: string, renamed: Renamed): readonly string[] => [
  id,
  ...Array.from(renamed, ([before, now]) => renamedId(id, before, now))
]

const EXCHANGE = "exchange:"

const renamedId = (id: string, before: string, now: string): string => {
  if (id === `source:${before}`) return `source:${now}`
  if (id.startsWith(EXCHANGE)) return EXCHANGE + renamedId(id.slice(EXCHANGE.length), before, now)
  return id.startsWith(`window:${before}/`) ? `window:${now}/${id.slice(`window:${before}/`.length)}` : id
}

/** What a savepoint holds that the pipeline has no use for. */
export const leftBehind = ({ operators }: Match): readonly string[] =>
  operators.flatMap(({ contents, comparison }) =>
    comparison === undefined
      ? [`${contents.id} (${contents.entries} entries)`]
      : comparison.dropped.map(part => `${contents.id}: ${part}`)
  )

export const differencesOf = ({ operators }: Match): readonly Difference[] =>
  operators.flatMap(({ comparison }) => comparison?.refused ?? [])

/** Differences as a person reads them: where, what it was, what it is, what to do. */
export const showDifferences = (differences: readonly Difference[]): string =>
  differences
    .map(difference => `${showStateChange(difference.operator, difference)}\n    to do: ${difference.todo}`)
    .join("\n")
