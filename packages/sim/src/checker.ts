import { changelogName } from "@headrace/engine"
import type { Plan } from "headrace"
import { decodeEvent, type Event } from "./codec.ts"
import { difference } from "./difference.ts"
import { CheckpointReader, isHeader, makeTask, RECORD, readHeader, type Task } from "./engine.ts"
import { nameOf, type Partition } from "./log.ts"
import { chainParts } from "./node.ts"
import { checkOverall } from "./overall.ts"
import { checkPatterns } from "./patterns.ts"
import {
  CONTROL,
  counts,
  groupOf,
  LATENESS_MS,
  OUT_OF_ORDERNESS_MS,
  PAIRED_MS,
  PARTS,
  type Shape,
  SOURCE,
  scoreOf,
  tagOf,
  WINDOW_MS
} from "./pipelines.ts"
import { grouped, rowsOf } from "./rows.ts"
import type { Life } from "./saving.ts"
import { checkSequences } from "./sequences.ts"
import { carried, parentsOf, type Stage, type Step, type Stretch, stagesOf } from "./stages.ts"
import { APP, type World } from "./world.ts"

type Row = Record<string, unknown>
interface PairRow {
  readonly group: string
  readonly left: number
  readonly right: number
}
interface Total {
  readonly key: string
  readonly windowStart: number
  readonly windowEnd: number
  readonly total: number
  readonly n: number
  readonly score?: number
}

const text = new TextDecoder()

/** Judges what was committed against a naive recomputation from the inputs; answers with what is wrong. */
export const check = (world: World, plan: Plan, shape: Shape): readonly string[] => {
  const wrong: string[] = []
  const report = (what: string): void => {
    if (wrong.length < 10) wrong.push(what)
  }
  const inputs = world.everyInput().map(partition => eventsOf(partition))
  checkDead(world, report)
  if (world.log.topics.has("tagged"))
    checkEach(world, inputs, "tagged", event => [{ ...event, tag: tagOf(event) }], report)
  if (world.log.topics.has("scored"))
    checkEach(world, inputs, "scored", event => [{ ...event, score: scoreOf(event.cents) }], report)
  if (world.log.topics.has("parts"))
    checkEach(world, inputs, "parts", event => PARTS.map(part => ({ ...event, part })), report)
  if (shape === "patterns") checkPatterns(world, plan, report)
  const crosses = shape === "crossing" ? counts : () => shape !== "overall"
  const stretches = stretchesOf(world)
  const crossed = (all: readonly Stretch[]) => stagesOf(plan, crosses, all, OUT_OF_ORDERNESS_MS, report)
  const stages = shape === "patterns" ? [] : crossed(stretches)
  if (world.saved !== undefined && shape !== "patterns") crossed([savedOf(world, world.saved)])
  if (shape === "joined" || shape === "aligned") checkPairs(world, stages, report)
  if (shape === "sequences") checkSequences(world, stages, report)
  if (shape === "overall") checkOverall(world, inputs.flat(), stages, report)
  if (world.log.topics.has("totals"))
    checkWindows(world, stages.length > 0 ? stages : sourcesOf(stretches), shape, report)
  world.warehouse?.check(report)
  for (const input of world.consumed()) checkChangelog(world, plan, input, report)
  return wrong
}

const isCorrupt = (value: Uint8Array): boolean => text.decode(value).startsWith("corrupt ")

const eventsOf = (partition: Partition, from = 0, to = Number.POSITIVE_INFINITY): readonly Event[] =>
  partition.topic === CONTROL
    ? []
    : partition
        .all()
        .flatMap(({ offset, record: { value } }) =>
          offset < from || offset >= to || isCorrupt(value) ? [] : [decodeEvent(value, 0, value.length)]
        )

/** What the job read before it was saved, and behind that; or all that it read. */
const stretchesOf = (world: World): readonly Stretch[] => {
  const { life, log, drained } = world
  const none = () => Number.NEGATIVE_INFINITY
  const all = () => Number.POSITIVE_INFINITY
  if (life === undefined) return [{ topics: log.topics, events: one => eventsOf(one), floor: none, end: all, drained }]
  const before: Stretch = {
    topics: life.topics,
    events: one => eventsOf(one, 0, life.offset(one)),
    floor: none,
    end: one => life.offset(one),
    drained: false
  }
  const floor = ({ topic, partition }: Partition): number => {
    const parents = parentsOf(life.topics.get(topic)!, partition, log.topics.get(topic)!.length)
    return Math.min(...parents.map(one => asRead(before.events(one)).watermark))
  }
  const from = (one: Partition) => (life.moved ? 0 : life.offset(one))
  return [before, { topics: log.topics, events: one => eventsOf(one, from(one)), floor, end: all, drained }]
}

/** What a savepoint that was taken beside the running job is of: the same has to have crossed. */
const savedOf = ({ log }: World, saved: Life["offset"]): Stretch => ({
  topics: log.topics,
  events: one => eventsOf(one, 0, saved(one)),
  floor: () => Number.NEGATIVE_INFINITY,
  end: saved,
  drained: false
})

/** What the partitions of the source hold, where no stage is before the windows. */
const sourcesOf = (stretches: readonly Stretch[]): readonly Stage[] =>
  stretches.reduce<readonly Stage[]>((before, { topics, events, floor }) => {
    const stages = topics.get(SOURCE)!.map(one => asRead(events(one), floor(one)))
    return before.length === 0 ? stages : carried(before, event => event.account, stages)
  }, [])

/** Each event is out, once at least: what is kept until a timer of it fires. */
export const allOut = (world: World): boolean => {
  const { log } = world
  const everyInput = world.everyInput()
  const tagged = log.topics.get("tagged")!.flatMap(partition => partition.all())
  return tagged.length >= everyInput.flatMap(one => eventsOf(one)).length
}

/** What cannot be decoded goes to its topic as it came, once, with each key's in its order. */
const checkDead = (world: World, report: (what: string) => void): void => {
  const wordsOf = (partitions: readonly Partition[]) => {
    const records = partitions.flatMap(partition => partition.all()).filter(({ record }) => isCorrupt(record.value))
    return grouped(
      records.map(({ record }) => ({ key: text.decode(record.key), value: text.decode(record.value) })),
      one => one.key
    )
  }
  const found = wordsOf(world.log.topics.get("dead")!)
  const wanted = wordsOf(world.everyInput())
  for (const key of new Set([...found.keys(), ...wanted.keys()])) {
    const [got = [], want = []] = [found.get(key), wanted.get(key)].map(group => group?.map(one => one.value))
    if (JSON.stringify(got) !== JSON.stringify(want)) report(`dead letters of ${key}: ${difference(got, want)}`)
  }
}

/** What is expected of each input, once, with each account's in its order. */
const checkEach = (
  world: World,
  inputs: readonly (readonly Event[])[],
  topic: string,
  expected: (event: Event) => readonly object[],
  report: (what: string) => void
): void => {
  const found = grouped(
    rowsOf<Event & Row>(world, topic, report, row => row.account),
    row => row.account
  )
  const wanted = grouped(inputs.flat(), event => event.account)
  for (const account of new Set([...found.keys(), ...wanted.keys()])) {
    const want = (wanted.get(account) ?? []).flatMap(event => expected(event).map(one => JSON.stringify(one)))
    const got = (found.get(account) ?? []).map(row => JSON.stringify(row))
    if (JSON.stringify(got) !== JSON.stringify(want)) report(`${topic} of ${account}: ${difference(got, want)}`)
  }
}

/**
 * Watermarks advance between batches, so which events are late depends on how they were fetched, within limits: none
 * may be late that a watermark after each record would have let in. Each event is late or in its window, never both.
 */
const checkWindows = (world: World, inputs: readonly Stage[], shape: Shape, report: (what: string) => void): void => {
  const late = rowsOf<Event>(world, "late", report, keyIn(shape))
  const lateIds = new Set(late.map(event => event.id))
  if (lateIds.size !== late.length) report(`late: ${late.length} records of ${lateIds.size} events`)
  const totals = grouped(
    rowsOf<Total>(world, "totals", report, row => row.key),
    row => `${row.key}@${row.windowStart}`
  )
  for (const one of inputs) checkPartition(one, lateIds, totals, shape, report)
  for (const id of lateIds) report(`late: event ${id} is not late, or does not count`)
  for (const name of totals.keys()) report(`totals: nothing is in ${name}`)
}

/** What windows are keyed by. */
const keyIn = (shape: Shape) => (shape === "crossing" ? groupOf : (event: Event) => event.account)

/** The watermark counts all events, those before the filter too; behind an asynchronous step it may only be lower. */
const asRead = (events: readonly Event[], floor = Number.NEGATIVE_INFINITY): Stage => {
  let watermark = floor
  const steps = events.map((event): Step => {
    watermark = Math.max(watermark, event.at - OUT_OF_ORDERNESS_MS - 1)
    return { event, side: 0, watermark }
  })
  return { steps, watermark }
}

const checkPartition = (
  { steps, watermark: end }: Stage,
  lateIds: Set<number>,
  totals: Map<string, Total[]>,
  shape: Shape,
  report: (what: string) => void
): void => {
  const windows = new Map<string, { sum: number; n: number; end: number; reached: number }>()
  for (const { event, watermark, until = end } of steps) {
    if (!counts(event)) continue
    const start = Math.floor(event.at / WINDOW_MS) * WINDOW_MS
    const isLate = start + WINDOW_MS - 1 + LATENESS_MS <= watermark
    if (lateIds.has(event.id) && isLate) {
      lateIds.delete(event.id)
      continue
    }
    // In the log between stages watermarks stand where they are heard.
    if (isLate && shape === "crossing") report(`late: event ${event.id} is, and is counted`)
    const name = `${keyIn(shape)(event)}@${start}`
    const { sum, n, reached } = windows.get(name) ?? { sum: 0, n: 0, reached: end }
    const latest = Math.max(reached, until)
    windows.set(name, { sum: sum + event.cents, n: n + 1, end: start + WINDOW_MS, reached: latest })
  }
  for (const [name, window] of windows) {
    checkWindow(name, window, totals.get(name) ?? [], window.reached, shape, report)
    totals.delete(name)
  }
}

/**
 * Each pair of records of a group that are both on time and near enough is there once. One that arrives just when the
 * watermark is at its time may find its partner gone.
 */
const checkPairs = (world: World, stages: readonly Stage[], report: (what: string) => void): void => {
  const found = new Set<string>()
  for (const { group, left, right } of rowsOf<PairRow>(world, "pairs", report, row => row.group)) {
    const name = `${group}/${left}/${right}`
    if (found.has(name)) report(`pairs: ${name} is doubled`)
    found.add(name)
  }
  const late = new Set(
    ["late", "lateOthers"].flatMap(topic => rowsOf<Event>(world, topic, report, groupOf)).map(({ id }) => id)
  )
  for (const { steps } of stages) {
    for (const { event, watermark } of steps)
      if (event.at < watermark !== late.delete(event.id))
        report(`late: event ${event.id} at ${event.at}, watermark ${watermark}`)
    const onTime = steps.filter(({ event, watermark }) => event.at >= watermark)
    onTime.forEach((later, i) => {
      for (const earlier of onTime.slice(0, i)) checkPair(earlier, later, found, report)
    })
  }
  for (const id of late) report(`late: event ${id} is doubled`)
  for (const name of found) report(`pairs: ${name} is none`)
}

const checkPair = (earlier: Step, later: Step, found: Set<string>, report: (what: string) => void): void => {
  const [left, right] = earlier.side === 0 ? [earlier, later] : [later, earlier]
  const group = groupOf(left.event)
  const near = Math.abs(left.event.at - right.event.at) <= PAIRED_MS
  if (left.side === right.side || group !== groupOf(right.event) || !near) return
  const name = `${group}/${left.event.id}/${right.event.id}`
  if (!found.delete(name) && later.event.at > later.watermark) report(`pairs: ${name} is missing`)
}

const checkWindow = (
  name: string,
  window: { readonly sum: number; readonly n: number; readonly end: number },
  fired: readonly Total[],
  watermark: number,
  shape: Shape,
  report: (what: string) => void
): void => {
  const due = window.end - 1 <= watermark
  const last = fired.at(-1)
  if (!due && last !== undefined) report(`totals: ${name} fired before its time`)
  if (due && last === undefined) report(`totals: ${name} never fired`)
  if (last === undefined) return
  if (last.total !== window.sum || last.n !== window.n || last.windowEnd !== window.end)
    report(`totals: ${name} is ${last.total} of ${last.n}, not ${window.sum} of ${window.n}`)
  // Each firing after the first one is for one more event.
  for (let i = 1; i < fired.length; i++)
    if (fired[i]!.n <= fired[i - 1]!.n) report(`totals: ${name} fired with ${fired[i - 1]!.n}, then ${fired[i]!.n}`)
  if (shape === "behind")
    for (const one of fired) if (one.score !== scoreOf(one.total)) report(`totals: ${name} has score ${one.score}`)
}

/** Records without gaps, up to the committed offset; and the state that they make has the right watermark. */
const checkChangelog = (world: World, plan: Plan, input: Partition, report: (what: string) => void): void => {
  const log = world.log.at({ topic: changelogName(APP, input.topic), partition: input.partition })
  const owner = {}
  const task = makeTask(
    chainParts(plan, world, owner, () => {}),
    { topic: input.topic, partition: input.partition },
    () => {
      throw new Error("restoring writes nothing")
    }
  )
  const begin = world.life?.begins.get(nameOf(input))
  if (begin !== undefined) putBack(task, begin.state)
  let reached = begin?.offset ?? 0
  if (begin !== undefined) task.start({ offset: reached, committed: reached })
  let watermark = task.watermark()
  for (const { offset, record } of log.all()) {
    const header = readHeader(record.value, 0, record.value.length)
    if (header.from !== reached || header.to < header.from)
      report(`changelog of ${nameOf(input)} at ${offset}: [${header.from}, ${header.to}) follows ${reached}`)
    reached = header.to
    task.apply(record.value.subarray(header.changes))
    task.start({ offset: header.to, committed: header.to })
    if (task.watermark() < watermark)
      report(
        `changelog of ${nameOf(input)} at ${offset}: the watermark goes back from ${watermark} to ${task.watermark()}`
      )
    watermark = task.watermark()
  }
  if (world.inputs().includes(input) && input.topic !== CONTROL) checkEnd(world, input, watermark, report)
  const committed = world.log.committedOffset(nameOf(input)) ?? 0
  const events = input.all()
  // That it is at rest is said again by who takes such a partition over; nobody need hear of it.
  const heard = events.filter(({ offset, record }) => offset < committed || !isRepeated(world, input, record.value))
  const end = Math.max(begin?.offset ?? 0, heard.length === 0 ? 0 : heard.at(-1)!.offset + 1)
  if (reached !== committed || committed !== end)
    report(`${nameOf(input)} ends at ${end}, committed ${committed}, its changelog at ${reached}`)
}

/** The state that a savepoint's restore has written. */
const putBack = (task: Task, checkpoint: Uint8Array): void => {
  for (const part of new CheckpointReader().push(checkpoint)) if (!isHeader(part)) task.restore(part)
}

const isRepeated = (world: World, input: Partition, value: Uint8Array): boolean =>
  world.drained && !world.inputs().includes(input) && value[0] !== RECORD

/** The state of a source's partition has come to where its last event took it. */
const checkEnd = (world: World, input: Partition, watermark: number, report: (what: string) => void): void => {
  const { events, floor } = stretchesOf(world).at(-1)!
  const { watermark: latest } = asRead(events(input), floor(input))
  const last = world.drained ? Number.POSITIVE_INFINITY : latest
  if (watermark !== last) report(`${nameOf(input)} ends with the watermark ${watermark}, not ${last}`)
}
