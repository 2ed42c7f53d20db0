import { availableParallelism } from "node:os"
import { startClickHouse, startKafka, startRegistry } from "@headrace/dev"
import { paymentsModule } from "@headrace/loadtest"
import { Effect, type Scope } from "effect"
import { childPipeline } from "./child.ts"
import { conclude, drive, ensureTopics, LoadFailed, loadOptions, warmUp } from "./load.ts"
import type { LoadFlags } from "./loadFlags.ts"
import { watch } from "./watch.ts"

export interface DemoFlags extends LoadFlags {
  readonly lanes: number | undefined
  readonly keep: boolean
}

/**
 * Starts the servers and the payments pipeline, drives and audits it, and leaves nothing behind, however it ends. With
 * `keep` everything stays once the audit is done. Fails when the audit does.
 */
export const demo = Effect.fnUntraced(function* (flags: DemoFlags) {
  const kept: Kept[] = []
  const { kafka, registry, clickhouse } = yield* servers(flags.keep, kept)
  const clusters = {
    kafka: { bootstrap: kafka.bootstrap, settings: {} },
    registry: { url: registry.url },
    clickhouse: { url: clickhouse.url, database: "default" }
  }
  const lanes = flags.lanes ?? availableParallelism()
  const options = { ...loadOptions(clusters, flags), partitions: lanes * PARTITIONS_PER_LANE }
  yield* ensureTopics(options)
  const pipeline = yield* step(`payments pipeline, ${lanes} lanes`, "pipeline", flags.keep, kept, () =>
    childPipeline({ module: paymentsModule, clusters, lanes, keep: flags.keep })
  )
  const watched = yield* watch(pipeline.url)
  const load = { ...options, engine: watched.snapshot }
  const warmupMs = Math.min(WARMUP_MS, options.forMs)
  yield* warmUp(load, warmupMs)
  const summary = yield* drive(load, watched.figures(pipeline.startupMs))
  yield* conclude({ ...summary, warmup_ms: warmupMs }, flags.report).pipe(
    Effect.ensuring(Effect.sync(() => flags.keep && keep(kept)))
  )
}, Effect.scoped)

/** At full load before what is measured; stands in the report. */
const WARMUP_MS = 15_000
/** Enough to spread the accounts; each more costs the broker a request and a marker a commit. */
const PARTITIONS_PER_LANE = 2

/** All three at once: each takes a second or more. */
const servers = (keep: boolean, kept: Kept[]) => {
  const options = { detached: keep, log: progress }
  return Effect.all(
    {
      kafka: step("Kafka", "Kafka", keep, kept, () => startKafka({ ...options, profile: "throughput" })),
      registry: step("schema registry", "registry", keep, kept, () => startRegistry(options)),
      clickhouse: step("ClickHouse", "ClickHouse", keep, kept, () => startClickHouse(options))
    },
    { concurrency: "unbounded" }
  )
}

interface Started {
  readonly pid: number
  readonly url?: string
  readonly bootstrap?: string
  stop(): Promise<void>
}
interface Kept {
  readonly name: string
  readonly started: Started
  keep: boolean
}

/**
 * Starts something with a line of progress, and stops it with the scope unless it was marked as kept. What is not
 * detached dies with this process, so an interrupt need not wait for a start; what is detached must be waited for.
 */
const step = <A extends Started>(
  what: string,
  name: string,
  detached: boolean,
  kept: Kept[],
  start: () => Promise<A>
): Effect.Effect<A, LoadFailed, Scope.Scope> =>
  Effect.gen(function* () {
    const begun = performance.now()
    progress(`starting ${what} …`)
    const entry = yield* starting(name, start, detached, kept)
    progress(`${what} is up (${((performance.now() - begun) / 1000).toFixed(1)} s)`)
    return entry
  })

const starting = <A extends Started>(name: string, start: () => Promise<A>, detached: boolean, kept: Kept[]) => {
  const started = Effect.tryPromise({ try: start, catch: error => new LoadFailed({ message: messageOf(error) }) })
  const acquire = Effect.map(detached ? Effect.uninterruptible(started) : started, value => {
    kept.push({ name, started: value, keep: false })
    return value
  })
  return Effect.acquireRelease(
    acquire,
    value => (kept.find(entry => entry.started === value)?.keep ? Effect.void : Effect.promise(() => value.stop())),
    { interruptible: !detached }
  )
}

const keep = (kept: Kept[]): void => {
  for (const entry of kept) entry.keep = true
  const lines = kept.map(
    ({ name, started }) => `  ${name.padEnd(11)} ${started.bootstrap ?? started.url ?? ""}  pid ${started.pid}`
  )
  const pids = kept.map(({ started }) => started.pid).filter(pid => pid > 0)
  process.stdout.write(`\nLeft running:\n${lines.join("\n")}\nStop them: kill ${pids.reverse().join(" ")}\n`)
}

const progress = (line: string): void => void process.stderr.write(`• ${line}\n`)
const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
