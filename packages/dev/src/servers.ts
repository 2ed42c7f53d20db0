import { type Log, silent } from "./cache.ts"
import { ensureClickHouse } from "./clickhouse.ts"
import { ensureKafka } from "./kafka.ts"
import { ensureRegistry } from "./registry.ts"

/** Fetches and prepares all that the development servers need, where the cache lacks it: afterwards each starts quickly. */
export async function ensureServers(log: Log = silent): Promise<void> {
  await ensureClickHouse(log)
  await ensureKafka(log)
  await ensureRegistry(log)
}
