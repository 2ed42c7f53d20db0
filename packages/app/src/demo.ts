import { availableParallelism } from "node:os"
import { startClickHouse, startKafka, startRegistry } from "@headrace/dev"
import { Effect } from "effect"
import { childPipeline } from "./child.ts"
import { conclude, ensureTopics, loadOptions, measure } from "./load.ts"
import { type LoadFlags, warmUpMs } from "./loadFlags.ts"
import { type Part, progress, startPart } from "./part.ts"

export interface DemoFlags extends LoadFlags {
  readonly lanes: number | undefined
  readonly keep: boolean
}

/**
 * Starts the servers and the payments pipeline, drives and audits it, and leaves nothing behind, however it ends. With
 * `keep` everything stays once the audit is done. Fails when the audit does.
 */
export const demo = Effect.fnUntraced(function* (flags: DemoFlags) {
  let kept = false
  const start = <A extends Part>(what: string, begin: () => Promise<A>) => startPart(what, begin, () => kept)
  const { kafka, registry, clickhouse } = yield* Effect.all(
    {
      kafka: start("Kafka", () => startKafka({ log: progress, profile: "throughput" })),
      registry: start("schema registry", () => startRegistry({ log: progress })),
      clickhouse: start("ClickHouse", () => startClickHouse({ log: progress }))
    },
    { concurrency: "unbounded" }
  )
  const clusters = {
    kafka: { bootstrap: kafka.bootstrap, settings: {} },
    registry: { url: registry.url },
    clickhouse: { url: clickhouse.url, database: "default" },
    replication: 1
  }
  const lanes = flags.lanes ?? availableParallelism()
  const options = { ...loadOptions(clusters, flags), partitions: lanes * PARTITIONS_PER_LANE }
  yield* ensureTopics(options)
  const pipeline = yield* start(`payments pipeline, ${lanes} lanes`, () =>
    childPipeline({ ...clusters, pipeline: "payments", lanes })
  )
  const summary = yield* measure(options, warmUpMs(flags), pipeline.url)
  const keep = Effect.promise(async () => {
    kept = true
    await leave([
      { name: "pipeline", at: pipeline.url, part: pipeline },
      { name: "ClickHouse", at: clickhouse.url, part: clickhouse },
      { name: "registry", at: registry.url, part: registry },
      { name: "Kafka", at: kafka.bootstrap, part: kafka }
    ])
  })
  yield* conclude(summary, flags.report).pipe(Effect.ensuring(flags.keep ? keep : Effect.void))
}, Effect.scoped)

/** Enough to spread the accounts; each more costs the broker a request and a marker a commit. */
const PARTITIONS_PER_LANE = 2

interface Kept {
  readonly name: string
  readonly at: string
  /** Its process id is 0 where it ran before. */
  readonly part: { readonly pid: number; keep(): Promise<void> }
}

/** Lets everything outlive this process, and says where it is and how it is stopped: the pipeline first. */
const leave = async (all: readonly Kept[]): Promise<void> => {
  await Promise.all(all.map(({ part }) => part.keep()))
  const lines = all.map(({ name, at, part }) => `  ${name.padEnd(11)} ${at}  pid ${part.pid}`)
  const pids = all.map(({ part }) => part.pid).filter(pid => pid > 0)
  process.stdout.write(`\nLeft running:\n${lines.join("\n")}\nStop them: kill ${pids.join(" ")}\n`)
}
