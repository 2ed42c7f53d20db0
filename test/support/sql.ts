import { ClickHouseLogLevel, createClient } from "@clickhouse/client"

/** The rows of a query. */
export const rowsOf = async <A>(url: string, query: string): Promise<A[]> => {
  const client = createClient({ url, log: { level: ClickHouseLogLevel.OFF } })
  try {
    return await (await client.query({ query, format: "JSONEachRow" })).json<A>()
  } finally {
    await client.close()
  }
}
