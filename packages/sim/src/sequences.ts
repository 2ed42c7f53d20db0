import type { Event } from "./codec.ts"
import { difference } from "./difference.ts"
import { begins, follows, groupOf, SEQUENCE_MS } from "./pipelines.ts"
import { grouped, type Report, rowsOf } from "./rows.ts"
import type { Stage, Step } from "./stages.ts"
import type { World } from "./world.ts"

interface Row {
  readonly group: string
  readonly first: number
  readonly second: number
}

/**
 * Of each group the events on time, in the order of their times, as far as event time has come: each one that begins has the one
 * right behind it with it, has been given up by that one, or by time.
 */
export const checkSequences = (world: World, stages: readonly Stage[], report: Report): void => {
  const late = stages.flatMap(({ steps }) => steps.filter(isLate).map(({ event }) => String(event.id)))
  compare(
    report,
    "late",
    late,
    rowsOf<Event>(world, "late", report, groupOf).map(({ id }) => String(id))
  )
  const wanted = stages.flatMap(stage => [...bySeries(stage)].flatMap(([group, series]) => expected(group, series)))
  const of = (topic: string) => rowsOf<Row>(world, topic, report, ({ group }) => group).map(nameOf)
  compare(report, "sequences", wanted.filter(({ second }) => second > 0).map(nameOf), of("sequences"))
  compare(report, "broken", wanted.filter(({ second }) => second === 0).map(nameOf), of("broken"))
}

const isLate = ({ event, watermark }: Step): boolean => event.at <= watermark
const nameOf = ({ group, first, second }: Row): string => `${group}/${first}/${second}`

const compare = (report: Report, topic: string, wanted: readonly string[], got: readonly string[]): void => {
  if (wanted.toSorted().join() !== got.toSorted().join())
    report(`${topic}: ${difference(got.toSorted(), wanted.toSorted())}`)
}

interface Series {
  readonly events: readonly Event[]
  /** Event time there. */
  readonly end: number
}

const bySeries = ({ steps, watermark }: Stage): ReadonlyMap<string, Series> => {
  const groups = grouped(
    steps.filter(step => !isLate(step)),
    ({ event }) => groupOf(event)
  )
  return new Map(
    [...groups].map(([group, own]) => {
      const end = Math.max(watermark, ...own.map(({ until = watermark }) => until))
      const seen = own.map(({ event }) => event).filter(({ at }) => at <= end)
      return [group, { events: seen.toSorted((a, b) => a.at - b.at), end }]
    })
  )
}

const expected = (group: string, { events, end }: Series): readonly Row[] =>
  events.flatMap((event, i): readonly Row[] => {
    if (!begins(event)) return []
    const over = event.at + SEQUENCE_MS
    const next = events[i + 1]
    if ((next?.at ?? end) >= over) return [{ group, first: event.id, second: 0 }]
    return next !== undefined && follows(next) ? [{ group, first: event.id, second: next.id }] : []
  })
