import { fileURLToPath } from "node:url"
import { auditNode } from "../../loadtest/src/audit/node.ts"
import { type AlertCounts, judge } from "../../loadtest/src/measure/alerts.ts"
import { alertName, alertsDue, type Deed } from "../../loadtest/src/scenarios/payments/due.ts"
import type { Alert } from "../../loadtest/src/scenarios/payments/schemas.ts"

export { ensureIndependentClient } from "../../loadtest/src/audit/node.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))
const audit = fileURLToPath(new URL("../../loadtest/src/audit/independent.mjs", import.meta.url))
const windows = fileURLToPath(new URL("./windows.mjs", import.meta.url))
const alerts = fileURLToPath(new URL("./alerts.mjs", import.meta.url))

/** What independent.mjs prints. */
export interface TopicAudit {
  readonly records: number
  readonly distinct: number
  readonly duplicated: number
  readonly disordered: number
  readonly missing?: number
  readonly unreadable: number
}

/** What windows.mjs prints: windows recomputed from the source against those in the topic. */
export interface WindowsAudit {
  readonly events: number
  readonly windows: number
  readonly late: number
  readonly wrong: readonly string[]
  /** `[key, windowStart, spent, payments, largest]` of each window in the topic. */
  readonly found: readonly (readonly [string, number, number, number, number])[]
}

/** Audits a topic of events by an independent client under Node. */
export const auditTopic = async (args: {
  readonly bootstrap: string
  readonly registry: string
  readonly topic: string
  readonly sent?: string
  readonly run?: string
}): Promise<TopicAudit> => JSON.parse(await node([audit, ...flagsOf(args)])) as TopicAudit

/** Recomputes the windows of the payments pipeline by an independent client. */
export const auditWindows = async (args: {
  readonly bootstrap: string
  readonly registry: string
  /** Topics that are one stream, one after the other, with commas between them. */
  readonly sources?: string
}): Promise<WindowsAudit> => JSON.parse(await node([windows, ...flagsOf(args)])) as WindowsAudit

/** Holds the alerts of the payments pipeline against those that are due for all that is in its source topic. */
export const auditAlerts = async (args: {
  readonly bootstrap: string
  readonly registry: string
}): Promise<AlertCounts> => {
  const { deeds, alerts: came } = JSON.parse(await node([alerts, ...flagsOf(args)])) as AlertsRead
  const due = [...Map.groupBy(deeds, ({ account }) => account).values()].flatMap(alertsDue)
  const byName = Map.groupBy(came, alertName)
  return judge(due, new Map([...byName].map(([name, same]) => [name, same.length])))
}

/** What alerts.mjs prints. */
interface AlertsRead {
  readonly deeds: readonly (Deed & { readonly account: string })[]
  readonly alerts: readonly Pick<Alert, "rule" | "firstId" | "lastId">[]
}

const flagsOf = (args: Readonly<Record<string, string | undefined>>): string[] =>
  Object.entries(args).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`, value]))

const node = async (args: readonly string[]): Promise<string> => {
  const child = Bun.spawn([auditNode(), ...args], { cwd: root, stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  if (code !== 0) throw new Error(`The independent client ended with ${code}: ${err}`)
  return out
}
