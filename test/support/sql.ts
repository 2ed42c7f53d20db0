import { createClient } from "@clickhouse/client"

/** The rows of a query. */
export const rowsOf = async <A>(url: string, query: string): Promise<A[]> => {
  const client = createClient({ url })
  try {
    return await (await client.query({ query, format: "JSONEachRow" })).json<A>()
  } finally {
    await client.close()
  }
}
