/** The topics of the payments pipeline, as `pipeline.ts` names them. */
export const TOPICS = {
  events: "payments",
  scored: "payments.scored",
  spend: "payments.spend",
  late: "payments.late",
  alerts: "payments.alerts"
} as const

/** Its tables in ClickHouse. */
export const TABLES = { scored: "scored", spend: "spend", alerts: "alerts" } as const
