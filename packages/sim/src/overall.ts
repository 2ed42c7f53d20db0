import type { Event } from "./codec.ts"
import { counts, WINDOW_MS } from "./pipelines.ts"
import { grouped, type Report, rowsOf } from "./rows.ts"
import type { Stage } from "./stages.ts"
import type { World } from "./world.ts"

interface Overall {
  readonly windowStart: number
  readonly windowEnd: number
  readonly total: number
  readonly n: number
}

/** Each window over all keys is out when event time has passed it, and again with all that came later; at last with everything. */
export const checkOverall = (
  world: World,
  events: readonly Event[],
  stages: readonly Stage[],
  report: Report
): void => {
  const fired = grouped(
    rowsOf<Overall>(world, "overall", report, () => ""),
    row => String(row.windowStart)
  )
  const windows = grouped(events.filter(counts), ({ at }) => String(at - (at % WINDOW_MS)))
  const end = Math.max(...stages.map(({ watermark }) => watermark))
  for (const [name, own] of windows) checkOne(name, own, fired.get(name) ?? [], end, report)
  for (const name of fired.keys()) if (!windows.has(name)) report(`overall: nothing is in ${name}`)
}

const checkOne = (name: string, own: readonly Event[], fired: readonly Overall[], end: number, report: Report) => {
  const due = Number(name) + WINDOW_MS - 1 <= end
  if (due !== fired.length > 0) report(`overall: ${name} ${due ? "never fired" : "fired before its time"}`)
  for (let i = 1; i < fired.length; i++)
    if (fired[i]!.n <= fired[i - 1]!.n) report(`overall: ${name} fired with ${fired[i - 1]!.n}, then ${fired[i]!.n}`)
  const total = own.reduce((sum, { cents }) => sum + cents, 0)
  const last = fired.at(-1)
  if (
    last !== undefined &&
    (last.total !== total || last.n !== own.length || last.windowEnd !== Number(name) + WINDOW_MS)
  )
    report(`overall: ${name} is ${last.total} of ${last.n}, not ${total} of ${own.length}`)
}
