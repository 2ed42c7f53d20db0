import { exchangeTopics } from "@headrace/engine"
import type { Plan } from "headrace"
import type { Event } from "./codec.ts"
import { difference } from "./difference.ts"
import { EnvelopeReader, RECORD, WATERMARK } from "./engine.ts"
import { nameOf, type Partition } from "./log.ts"
import { CONTROL, groupOf, SOURCE } from "./pipelines.ts"
import type { Random } from "./random.ts"
import { APP, type World } from "./world.ts"

interface Control {
  readonly id: string
  readonly version: number
  readonly status: "active" | "paused" | "removed"
  readonly spec: string
  readonly request: string
}
interface Change extends Control {
  readonly turn: number
}
interface Heard {
  readonly change: string
  readonly partition: number
  readonly watermark: number
}

const utf8 = new TextEncoder()
const text = new TextDecoder()
const json = <A>(bytes: Uint8Array): A =>
  JSON.parse(text.decode(bytes), (_, value) => (value?.number === undefined ? value : Number(value.number))) as A

/** An event of at least so many cents. */
const specOf = (least: number): string =>
  JSON.stringify({ pattern: [{ name: "large", where: { field: "cents", op: ">=", value: least } }] })
const leastOf = (spec: string): number => JSON.parse(spec).pattern[0].where.value

/** What is said about patterns: most of it in order, some of it not. */
export class Controls {
  private readonly random: Random
  private readonly last = new Map<string, Control>()

  constructor(random: Random) {
    this.random = random
  }

  /** A pattern stays in the partition of its id. */
  next(partition: number, number: number): { readonly id: string; readonly value: Uint8Array } {
    const { random } = this
    const id = `${partition}-${random.int(0, 1)}`
    const last = this.last.get(id)
    const changes = last === undefined || random.chance(0.5)
    const control: Control = {
      id,
      version: (last?.version ?? 0) + (changes ? 1 : random.chance(0.1) ? -1 : 0),
      status: random.pick(["active", "active", "active", "paused", "removed"]),
      spec: random.chance(0.1) ? "nonsense" : changes ? specOf(random.int(1, 1 << 30)) : last.spec,
      request: `${number}`
    }
    this.last.set(id, control)
    return { id, value: utf8.encode(JSON.stringify(control)) }
  }
}

type Report = (what: string) => void

/**
 * Each record is accepted or refused, once; all partitions hear of each change, and say so once to all; and each event on time
 * is found by what held then: behind the greatest of the times that the partitions said.
 */
export const checkPatterns = (world: World, plan: Plan, report: Report): void => {
  const changes = checkReplies(world, report)
  const [topic] = exchangeTopics(plan, APP)
  const channels = world.log.topics.get(SOURCE)!.length
  const logs = world.log.topics.get(topic!)!.map(partition => new StageLog(partition, channels))
  const words = new Map<string, Heard[]>()
  for (const { heard } of logs) for (const one of heard) words.set(one.change, [...(words.get(one.change) ?? []), one])
  const from = (change: Change) =>
    Math.max(...(words.get(`${change.id}/${change.turn}`) ?? []).map(one => one.watermark))
  const wanted = changes.map(({ id, turn }) => `${id}/${turn}`).toSorted()
  for (const log of logs) {
    const got = log.changes.map(({ id, turn }) => `${id}/${turn}`).toSorted()
    if (got.join() !== wanted.join()) report(`${log.name} has the changes ${difference(got, wanted)}`)
    const said = log.heard.map(one => `${one.change} ${one.partition}`).toSorted()
    const all = wanted.flatMap(name => logs.map((_, partition) => `${name} ${partition}`)).toSorted()
    if (said.join() !== all.join()) report(`${log.name} has heard ${difference(said, all)}`)
  }
  checkMatches(world, logs, changes, from, report)
}

/** What is accepted, by the rules in words: a version is one pattern, and none comes back. */
const checkReplies = (world: World, report: Report): readonly Change[] => {
  const known = new Map<string, Change>()
  const changes: Change[] = []
  const wanted: string[] = []
  for (const { record } of world.log.topics.get(CONTROL)!.flatMap(partition => partition.all())) {
    if (text.decode(record.value).startsWith("corrupt ")) continue
    const control = json<Control>(record.value)
    const before = known.get(control.id)
    const isFine = isAccepted(control, before)
    wanted.push(`${control.request} ${isFine}`)
    const isSame = before?.version === control.version && before.status === control.status
    if (!isFine || isSame) continue
    const spec = control.status === "removed" ? "" : control.spec
    const change = { ...control, spec, turn: (before?.turn ?? 0) + 1 }
    known.set(control.id, change)
    changes.push(change)
  }
  const replies = rows<{ request: string; accepted: boolean; from: number | null }>(world, `${CONTROL}.replies`)
  const got = replies.filter(({ from }) => from === null).map(({ request, accepted }) => `${request} ${accepted}`)
  if (got.toSorted().join() !== wanted.toSorted().join())
    report(`replies: ${difference(got.toSorted(), wanted.toSorted())}`)
  return changes
}

const isAccepted = ({ version, status, spec }: Control, before: Change | undefined): boolean => {
  if (version < 1 || (status !== "removed" && spec === "nonsense")) return false
  if (before === undefined || version > before.version) return true
  if (version < before.version) return false
  return status === "removed" || (before.status !== "removed" && spec === before.spec)
}

const rows = <A>(world: World, topic: string): readonly A[] =>
  world.log.topics.get(topic)!.flatMap(partition => partition.all().map(({ record }) => json<A>(record.value)))

const checkMatches = (
  world: World,
  logs: readonly StageLog[],
  changes: readonly Change[],
  from: (change: Change) => number,
  report: Report
): void => {
  const onTime = logs.flatMap(({ events, end }) => events.filter(({ event, isLate }) => !isLate && event.at <= end))
  const wanted = onTime.flatMap(({ event }) =>
    [...new Set(changes.map(({ id }) => id))].flatMap(id => {
      const now = changes.filter(one => one.id === id && from(one) < event.at).at(-1)
      const fits = now?.status === "active" && event.cents >= leastOf(now.spec)
      return fits ? [`${id} ${now.version} ${groupOf(event)} ${event.id}`] : []
    })
  )
  const found = rows<{ pattern: string; version: number; key: string; steps: { events: Event[] }[] }>(world, "matches")
  const got = found.map(one => `${one.pattern} ${one.version} ${one.key} ${one.steps[0]!.events[0]!.id}`)
  if (got.toSorted().join() !== wanted.toSorted().join())
    report(`matches: ${difference(got.toSorted(), wanted.toSorted())}`)
  const late = rows<Event>(world, "late").map(({ id }) => `${id}`)
  const expected = logs.flatMap(({ events }) => events.filter(one => one.isLate).map(({ event }) => `${event.id}`))
  if (late.toSorted().join() !== expected.toSorted().join())
    report(`late: ${difference(late.toSorted(), expected.toSorted())}`)
}

const ENVELOPE = 11
/** The exchanges that share the log; behind these come the words of the partitions. */
const EVENTS = 0
const CHANGES = 1

/** What a partition of the stage holds, in its order. */
class StageLog {
  readonly name: string
  readonly events: { readonly event: Event; readonly isLate: boolean }[] = []
  readonly changes: Change[] = []
  readonly heard: Heard[] = []
  /** By the partition of the events' topic. */
  private readonly times: number[]

  constructor(partition: Partition, channels: number) {
    this.name = nameOf(partition)
    this.times = Array.from({ length: channels }, () => Number.NEGATIVE_INFINITY)
    const envelope = new EnvelopeReader()
    for (const { record } of partition.all()) {
      envelope.stand(record.value, 0, record.value.length)
      if (envelope.kind === RECORD) this.take(envelope.exchange, record.value.subarray(ENVELOPE))
      else if (envelope.kind === WATERMARK && envelope.exchange === EVENTS) this.advance(envelope)
    }
  }

  /** Where event time is. */
  get end(): number {
    return Math.min(...this.times)
  }

  private advance({ channel, watermark }: EnvelopeReader): void {
    this.times[channel] = Math.max(this.times[channel]!, watermark)
  }

  private take(exchange: number, value: Uint8Array): void {
    if (exchange === CHANGES) this.changes.push(json<Change>(value))
    else if (exchange !== EVENTS) this.heard.push(json<Heard>(value))
    else {
      const event = json<Event>(value)
      this.events.push({ event, isLate: event.at <= this.end })
    }
  }
}
