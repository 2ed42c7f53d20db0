import { type Log, silent } from "./cache.ts"
import { ensureClickHouse } from "./clickhouse.ts"
import { ensureKafka } from "./kafka.ts"
import { ensureRegistry } from "./registry.ts"

/**
 * Fetches and prepares all that the development servers need, where the cache lacks it: afterwards each starts quickly.
 * Nothing for those that run elsewhere.
 */
export async function ensureServers(log: Log = silent): Promise<void> {
  const { HEADRACE_CLICKHOUSE, HEADRACE_KAFKA, HEADRACE_REGISTRY } = process.env
  if (!HEADRACE_CLICKHOUSE) await ensureClickHouse(log)
  if (!HEADRACE_KAFKA) await ensureKafka(log)
  if (!HEADRACE_REGISTRY) await ensureRegistry(log)
}
