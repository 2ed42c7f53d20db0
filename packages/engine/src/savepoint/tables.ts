import { Effect } from "effect"
import type { ClickHouseSinkNode, Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { sinkGroup } from "../names.ts"
import { type Admin, Clients } from "../ports/clients.ts"
import type { Mark } from "../ports/committed-log.ts"
import type { Manifest } from "./manifest.ts"
import { remaining } from "./session.ts"

/** What became of a table that a job under another name has filled. */
export interface TableRestore {
  readonly table: string
  /** False where that job still fills it: then two jobs would. */
  readonly goesOn: boolean
}

/**
 * A table's place is its group's offset, and groups have the job's name in theirs. A job of another name than the saved
 * one goes on where that one's tables stood, an open block included: places are copied, with the name of where they come from beside
 * them, by which the sink makes sure that it has the same table before it (see `handedOverBy`). A place of its own is kept.
 */
export const restoreTables = (plan: Plan, job: JobConfig, manifest: Manifest, admin: Admin) =>
  Effect.gen(function* () {
    if (manifest.app === job.app) return []
    const tables = plan.nodes.filter(node => node.kind === "clickhouseSink")
    const found: TableRestore[] = []
    for (const node of tables) {
      const goesOn = yield* restoreTable(node, job, manifest.app, admin)
      if (goesOn !== undefined) found.push({ table: node.table, goesOn })
    }
    return found
  })

/** Undefined where the saved job had no such table, or this job has a place in it already. */
const restoreTable = ({ id, topic }: ClickHouseSinkNode, job: JobConfig, before: string, admin: Admin) =>
  Effect.scoped(
    Effect.gen(function* () {
      const clients = yield* Clients
      const count = (yield* admin.partitions([topic])).get(topic) ?? 0
      const partitions = Array.from({ length: count }, (_, partition) => ({ topic, partition }))
      const group = yield* clients.offsets(sinkGroup(job.app, id))
      if ((yield* group.committed(partitions)).some(offset => offset !== undefined)) return undefined
      const from = sinkGroup(before, id)
      const offsets = yield* clients.offsets(from)
      const marks = Effect.map(offsets.marks(partitions), all => all.filter(mark => mark !== undefined))
      if ((yield* marks).length === 0) return undefined
      if ((yield* remaining(admin, from, job)).length > 0) return false
      // Anew: whoever was on its way out may have committed since.
      yield* group.commit((yield* marks).map(mark => ({ ...mark, metadata: handedOver(mark, before) })))
      return true
    })
  )

const HANDED_OVER = ";handed over by "

/** The metadata of a place that was another job's: its own, and whose it was. */
const handedOver = ({ metadata }: Mark, app: string): string => `${metadata.split(HANDED_OVER)[0]}${HANDED_OVER}${app}`

/** The job whose place this was, until the sink commits one of its own. */
export const handedOverBy = (metadata: string): string | undefined => metadata.split(HANDED_OVER)[1]
