import { handedOverBy, type LostOffsets, type Mark } from "@headrace/engine"
import { type Plan, parsePlan, planText } from "./block.ts"
import { Diverged, Eaten } from "./errors.ts"

/** What is known about a partition that was just assigned. */
export interface Known {
  readonly partition: number
  readonly committed: Mark | undefined
  /** From the ledger: everything before is in the table. */
  readonly finished: number | undefined
  /** Behind the last row from `finished` on: of a block that was inserted, but is not in the ledger. */
  readonly held: number | undefined
  /** First offset still in the log. */
  readonly start: number
  /** The end of the log. */
  readonly end: number
}

/** Where reading goes on, and the block that must be sent again before. */
export interface Start {
  readonly partition: number
  readonly offset: number
  readonly open: Plan | undefined
  /** The offset that was next, where retention took it and the policy is to go on without it. */
  readonly lostFrom?: number
}

/** Throws Diverged or Eaten: both stop the sink, since guessing could lose or double rows. */
export const startOf = (topic: string, known: Known, lost: LostOffsets): Start => {
  const { partition, committed, finished = 0, held = 0, start } = known
  if (committed === undefined) return fresh(topic, known)
  const plan = parsePlan(committed.metadata)
  const range = plan?.ranges.find(found => found.partition === partition)
  const next = range === undefined ? committed.offset : range.last + 1
  if (finished > next) throw diverged(topic, partition, next, finished)
  if (held > next) throw rewound(topic, partition, next, held)
  const before = handedOverBy(committed.metadata)
  if (before !== undefined && known.finished === undefined && committed.offset > start)
    throw strange(topic, partition, committed.offset, before)
  const open = range !== undefined && finished < next ? plan : undefined
  const needed = open === undefined ? next : range!.first
  if (start <= needed) return { partition, offset: next, open }
  // A block that is under way holds these rows: it cannot be finished without them.
  if (open !== undefined || lost === "stop") throw eaten(topic, known, needed, open !== undefined)
  return { partition, offset: lost === "earliest" ? start : known.end, open, lostFrom: next }
}

/** Nothing was ever committed: from the beginning of what is there. */
const fresh = (topic: string, { partition, finished = 0, held = 0, start }: Known): Start => {
  if (finished > 0) throw diverged(topic, partition, undefined, finished)
  if (held > 0) throw rewound(topic, partition, undefined, held)
  return { partition, offset: start, open: undefined }
}

/** Partitions of one block share its plan: it is sent again once. */
export const openPlans = (starts: readonly Start[]): readonly Plan[] => {
  const plans = new Map(starts.flatMap(({ open }) => (open === undefined ? [] : [[planText(open), open] as const])))
  return [...plans.values()]
}

const stands = (next: number | undefined): string =>
  next === undefined ? "the group has no committed offset" : `the group stands at ${next}`

const rewound = (topic: string, partition: number, next: number | undefined, held: number): Diverged =>
  new Diverged({
    message: `${topic}[${partition}]: the table holds rows up to offset ${held - 1}, but ${stands(next)}, though the plan of every row is committed before it. Was the group reset, a copy of an old commit delayed in the network, or does the coordinator not know the newest (restart that broker)? To go on set the group's offset to ${held} (if the table has a PARTITION BY, see first that no row before is missing); to fill the table again, drop it`
  })

const diverged = (topic: string, partition: number, next: number | undefined, finished: number): Diverged =>
  new Diverged({
    message: `${topic}[${partition}]: the ledger _headrace_blocks says that everything before offset ${finished} is in the table, but ${stands(next)}. Was the topic made anew, the group reset, or does its coordinator not know the newest commits (restart that broker)? To go on from ${finished} set the group's offset to it; to fill the table again, drop it (a new one has a ledger of its own)`
  })

const strange = (topic: string, partition: number, offset: number, before: string): Diverged =>
  new Diverged({
    message: `${topic}[${partition}]: restored from a savepoint, the group goes on from ${offset}, where ${before} stood, but the ledger _headrace_blocks knows of no rows that ${before} has put into this table. Is it another one? To go on from ${offset} nevertheless set the group's offset to it; to fill the table from the beginning delete the group's offsets`
  })

const eaten = (topic: string, { partition, start, end }: Known, needed: number, open: boolean): Eaten => {
  const what = `${topic}[${partition}]: offset ${needed} is needed, but the log begins at ${start}: retention deleted records before they were in the table.`
  const how = open
    ? `They belong to an unfinished block. Set the group's offset to ${start} to go on without them,`
    : `Set offsets.lost to earliest (from ${start}) or latest (from ${end}) to go on without them,`
  return new Eaten({ message: `${what} ${how} and give the topic a longer retention` })
}
