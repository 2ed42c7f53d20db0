import type { Event } from "./codec.ts"
import { counts, groupOf, LATENESS_MS, type Shape, scoreOf, WINDOW_MS } from "./pipelines.ts"
import { grouped, type Report, rowsOf } from "./rows.ts"
import type { Stage } from "./stages.ts"
import type { World } from "./world.ts"

interface Total {
  readonly key: string
  readonly windowStart: number
  readonly windowEnd: number
  readonly total: number
  readonly n: number
  readonly score?: number
}

/**
 * Watermarks advance between batches, so which events are late depends on how they were fetched, within limits: none
 * may be late that a watermark after each record would have let in. Each event is late or in its window, never both.
 */
export const checkWindows = (world: World, inputs: readonly Stage[], shape: Shape, report: Report): void => {
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

const checkPartition = (
  { steps, watermark: end }: Stage,
  lateIds: Set<number>,
  totals: Map<string, Total[]>,
  shape: Shape,
  report: Report
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

const checkWindow = (
  name: string,
  window: { readonly sum: number; readonly n: number; readonly end: number },
  fired: readonly Total[],
  watermark: number,
  shape: Shape,
  report: Report
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
