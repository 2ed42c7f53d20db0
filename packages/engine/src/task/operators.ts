import {
  aggregated,
  Deduplicate,
  DynamicPatterns,
  eventTime,
  type GridAssigner,
  GridWindow,
  type Input,
  IntervalJoin,
  type Keyed,
  KeyedWindow,
  keyed,
  type LateEvents,
  never,
  PatternMatch,
  Process,
  processDefinition,
  type StateDefinition,
  type Stateful,
  showAggregates,
  TableJoin,
  TemporalJoin,
  WindowJoin
} from "@headrace/core"
import type { Node } from "headrace"

/** Has results that wait for `proceed`: windows that are due, timers. */
export interface Timed {
  readonly pending: boolean
  readonly proceed: (limit: number) => number
}

/** An operator with state in a chain. */
export type Operator = Stateful & Timed & { readonly outputKey: Keyed }

/** What surrounds an operator: the keys that its inputs are keyed by, and where its results and late records go. */
export interface Surroundings {
  /** Of its only input, or of the left one. */
  readonly key: Keyed
  readonly right: Keyed
  readonly output: Input
  /** By the id of the late sink. */
  readonly late: (sink: string | undefined) => Input | undefined
  /** The side outputs that somebody reads, by name. */
  readonly sides: ReadonlyMap<string, Input>
  readonly clock: { readonly now: number }
  /** Which partition of how many this is. */
  readonly place: { readonly partition: number; readonly partitions: number }
}

type Kind<K extends Node["kind"]> = Extract<Node, { readonly kind: K }>
export type StatefulNode = Kind<
  | "window"
  | "process"
  | "pattern"
  | "dynamicPattern"
  | "broadcast"
  | "deduplicate"
  | "intervalJoin"
  | "windowJoin"
  | "temporalJoin"
  | "tableJoin"
>

const STATEFUL: ReadonlySet<string> = new Set<StatefulNode["kind"]>([
  "window",
  "process",
  "pattern",
  "dynamicPattern",
  "broadcast",
  "deduplicate",
  "intervalJoin",
  "windowJoin",
  "temporalJoin",
  "tableJoin"
])

export const isStateful = (node: Node): node is StatefulNode => STATEFUL.has(node.kind)

/** An operator, and what its one or two inputs are. */
export interface Built {
  readonly operator: Operator
  readonly inputs: readonly Input[]
  readonly late: readonly LateEvents[]
}

/** Results come by `proceed` only, in slices. */
const atOnce = 0

/** The operator of a node. */
export const build = (node: StatefulNode, around: Surroundings): Built => {
  const { key, output, late } = around
  switch (node.kind) {
    case "window":
      return windowOf(node, around)
    case "process": {
      const operator = new Process({ ...node, key, output, atOnce, clock: around.clock, sides: around.sides })
      return { operator, inputs: [operator], late: [] }
    }
    case "broadcast": {
      const operator = new Process({ ...node, key, output, atOnce, clock: around.clock, sides: around.sides })
      return { operator, inputs: [operator, operator.broadcasts], late: [] }
    }
    case "pattern": {
      const timeouts = around.sides.get("timedOut")
      const operator = new PatternMatch({ ...node, key, output, atOnce, late: late(node.late), timeouts })
      return { operator, inputs: [operator], late: [operator.late] }
    }
    case "dynamicPattern": {
      const { sides, place } = around
      const [timeouts, tell, applied] = ["timedOut", "agreed", "applied"].map(name => sides.get(name))
      const what = "patterns that come as data"
      const operator = new DynamicPatterns({
        ...node,
        ...{ what, key, output, atOnce, place, timeouts, tell, applied },
        late: late(node.late)
      })
      return { operator, inputs: [operator, operator.changes, operator.heard], late: [operator.late] }
    }
    case "deduplicate": {
      const operator = new Deduplicate({ ...node, key, output, atOnce, late: late(node.late) })
      return { operator, inputs: [operator], late: [operator.late] }
    }
    default:
      return joinOf(node, around)
  }
}

const windowOf = (node: Kind<"window">, { key, output, late }: Surroundings): Built => {
  const ofParts = node.all === "parts"
  const retracts = node.updates === "retract"
  const options = { ...node, ofParts, key, output, atOnce, late: late(node.late) }
  const assigner = gridOf(node)
  const operator =
    assigner !== undefined
      ? new GridWindow({ ...options, assigner })
      : new KeyedWindow({
          ...options,
          trigger: triggerOf(node),
          contents: aggregated({ ...node, ofParts, retracts }),
          what: [
            showAggregates(node.aggregates),
            ...kept(node),
            ...(retracts ? ["taken back when replaced"] : [])
          ].join(", ")
        })
  return { operator, inputs: [operator], late: [operator.late] }
}

/** Its elements are records, though its aggregates alone would not say so: other bytes than what is taken of them. */
const kept = ({ element, aggregates }: Kind<"window">): readonly string[] =>
  element !== undefined && Object.values(aggregates).every(({ kind }) => kind !== "custom")
    ? ["of records kept whole"]
    : []

/** Windows that all keys share, in columns: the fast way. Those of several panes have to be merged. */
const gridOf = ({ assigner, trigger, evictor, aggregates, updates }: Kind<"window">): GridAssigner | undefined => {
  if (trigger !== undefined || evictor !== undefined || updates === "retract") return undefined
  if (assigner.kind === "session" || assigner.kind === "global") return undefined
  const isPlain = Object.values(aggregates).every(
    one => one.kind !== "collect" && (one.kind !== "custom" || one.merge !== undefined || isOfOnePane(assigner))
  )
  return isPlain ? assigner : undefined
}

const isOfOnePane = ({ kind }: GridAssigner): boolean => kind === "tumbling" || kind === "calendar"

/** A global window has no end that the watermark could pass. */
const triggerOf = ({ trigger, assigner }: Pick<Kind<"window">, "trigger" | "assigner">) =>
  trigger ?? (assigner.kind === "global" ? never : eventTime)

const joinOf = (
  node: Kind<"intervalJoin" | "windowJoin" | "temporalJoin" | "tableJoin">,
  { key, right: other, output, late }: Surroundings
): Built => {
  const lateOf = (side: "leftLate" | "rightLate") =>
    side in node ? late((node as Kind<"windowJoin">)[side]) : undefined
  const left = { key, codec: node.leftCodec, late: lateOf("leftLate") }
  const right = { key: other, codec: node.rightCodec, late: lateOf("rightLate") }
  const options = { id: node.id, left, right, output, atOnce }
  switch (node.kind) {
    case "intervalJoin": {
      const { lowerMs, upperMs, type, combine } = node
      const join = new IntervalJoin({ ...options, lowerMs, upperMs, type, combine })
      return { operator: join, inputs: [join.left, join.right], late: [join.late.left, join.late.right] }
    }
    case "temporalJoin": {
      const { type, isDeleted, combine } = node
      const join = new TemporalJoin({ ...options, type, isDeleted, combine })
      return { operator: join, inputs: [join.left, join.right], late: [] }
    }
    case "tableJoin": {
      const { of: kind, type, combine } = node
      const isDeleted = { left: node.leftDeleted, right: node.rightDeleted }
      const join = new TableJoin({ ...options, kind, type, isDeleted, combine })
      return { operator: join, inputs: [join.left, join.right], late: [] }
    }
    case "windowJoin": {
      const { assigner, evictor, allowedLatenessMs, type, updates, combine } = node
      const pairing =
        type === "coGroup" ? ({ kind: "coGroup", combine } as const) : ({ kind: "join", type, combine } as const)
      const join = new WindowJoin({
        ...options,
        ...{ assigner, trigger: triggerOf(node), evictor, allowedLatenessMs, pairing },
        retracts: updates === "retract"
      })
      const late = [join.late, join.lates.left, join.lates.right]
      return { operator: join, inputs: [join.left, join.right], late }
    }
  }
}

const NOWHERE: Input = { next: () => {}, watermark: () => {} }

/** What the state of a node's operator is made of. */
export const definitionOf = (node: StatefulNode): StateDefinition => {
  if (node.kind === "process") return processDefinition(node.id, node.state)
  if (node.kind === "broadcast") return processDefinition(node.id, node.state, node.broadcast.codec)
  const { operator } = build(node, {
    key: keyed(),
    right: keyed(),
    output: NOWHERE,
    late: () => undefined,
    sides: new Map(),
    clock: { now: 0 },
    place: { partition: 0, partitions: 1 }
  })
  return (operator as unknown as { readonly definition: StateDefinition }).definition
}
