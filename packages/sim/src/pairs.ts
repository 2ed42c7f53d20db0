import type { Event } from "./codec.ts"
import { groupOf, PAIRED_MS } from "./pipelines.ts"
import { type Report, rowsOf } from "./rows.ts"
import type { Stage, Step } from "./stages.ts"
import type { World } from "./world.ts"

interface PairRow {
  readonly group: string
  readonly left: number
  readonly right: number
}
/**
 * Each pair of records of a group that are both on time and near enough is there once. One that arrives just when the
 * watermark is at its time may find its partner gone.
 */
export const checkPairs = (world: World, stages: readonly Stage[], report: Report): void => {
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

const checkPair = (earlier: Step, later: Step, found: Set<string>, report: Report): void => {
  const [left, right] = earlier.side === 0 ? [earlier, later] : [later, earlier]
  const group = groupOf(left.event)
  const near = Math.abs(left.event.at - right.event.at) <= PAIRED_MS
  if (left.side === right.side || group !== groupOf(right.event) || !near) return
  const name = `${group}/${left.event.id}/${right.event.id}`
  if (!found.delete(name) && later.event.at > later.watermark) report(`pairs: ${name} is missing`)
}
