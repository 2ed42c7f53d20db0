import type { AlertName } from "../scenarios/payments/due.ts"
import { RULES } from "../scenarios/payments/schemas.ts"

/** Alerts that came, and how often. */
export type Alerts = ReadonlyMap<AlertName, number>

/** Alerts that were due and came, that were due and did not, and that came without being due: a second copy is never due. */
export interface AlertCounts {
  readonly found: number
  readonly missed: number
  readonly false: number
}

export type AlertsByRule = Readonly<Record<(typeof RULES)[number], AlertCounts>>

/** How often each alert stands in a table, where that holds: the query, and what is in its rows. */
export const alertsIn = (table: string, where = "true"): string => `
  SELECT rule, firstId, lastId, count() AS times FROM ${table} WHERE ${where} GROUP BY rule, firstId, lastId`
export const fromRows = (rows: readonly Readonly<Record<string, unknown>>[]): Alerts =>
  new Map(rows.map(row => [`${row.rule} ${row.firstId} ${row.lastId}`, Number(row.times)]))

/** What came, held against what was due. */
export const judge = (due: readonly AlertName[], came: Alerts): AlertCounts => {
  const found = due.filter(name => came.has(name)).length
  const all = [...came.values()].reduce((sum, times) => sum + times, 0)
  return { found, missed: due.length - found, false: all - found }
}

/** The same of each rule by itself. */
export const judgeByRule = (due: readonly AlertName[], came: Alerts): AlertsByRule => {
  const of = (rule: string) => {
    const isOf = (name: AlertName) => name.startsWith(`${rule} `)
    return judge(due.filter(isOf), new Map([...came].filter(([name]) => isOf(name))))
  }
  return Object.fromEntries(RULES.map(rule => [rule, of(rule)])) as AlertsByRule
}
