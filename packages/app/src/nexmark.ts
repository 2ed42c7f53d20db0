import { messageOf } from "@headrace/core"
import type { JobConfig } from "@headrace/engine"
import { KafkaError } from "@headrace/kafka"
import {
  type Cluster,
  fill,
  measureInMemory,
  NEXMARK_TOPICS,
  nexmarkDefaults,
  operatorsOf,
  rated,
  removeTopics,
  runOnKafka
} from "@headrace/loadtest/nexmark"
import { Effect, Schema } from "effect"
import type { Plan } from "headrace"
import { childPipeline } from "./child.ts"
import { loadPipeline } from "./module.ts"
import { progress } from "./part.ts"
import { nexmarkWorkerFile, pipelineFile } from "./place.ts"

/** A query did not come to its end, or the cluster is not as it has to be. */
export class NexmarkFailed extends Schema.TaggedError<NexmarkFailed>()("NexmarkFailed", { message: Schema.String }) {}

export interface NexmarkRun {
  readonly queries: readonly string[]
  readonly events: number
  readonly rounds: number
  readonly seed: number
  readonly partitions: number
}

/** Runs each query in a lane of this process whose log is in memory, and prints what it took. */
export const nexmarkInMemory = Effect.fnUntraced(function* (run: NexmarkRun) {
  const { events, seed } = run
  const options = { ...nexmarkDefaults, seed }
  yield* show(run, yield* plansOf(run), query =>
    measureInMemory(nexmarkWorkerFile(), { module: moduleOf(query), options, events })
  )
})

/** Fills Nexmark's topics on a cluster, runs each query over them in a process of its own, and prints what it took. */
export const nexmark = Effect.fnUntraced(function* (job: JobConfig, run: NexmarkRun) {
  const cluster: Cluster = { ...job, brokerPid: 0, partitions: run.partitions }
  const plans = yield* plansOf(run)
  progress(`filling ${NEXMARK_TOPICS.join(", ")} with ${run.events} events …`)
  yield* Effect.acquireRelease(
    attempt("Nexmark's topics cannot be made and filled", () =>
      fill(cluster, { ...nexmarkDefaults, seed: run.seed }, run.events)
    ),
    () => Effect.ignore(attempt("", () => removeTopics(cluster, NEXMARK_TOPICS)))
  )
  yield* show(run, plans, async (query, round) => {
    const app = `nexmark-${query}-${round}`
    const start = () => childPipeline({ ...withoutTables(job), pipeline: `nexmark-${query}`, app })
    const { ownCpu, brokerCpu: _, ...rate } = await runOnKafka(cluster, plans.get(query)!, app, start)
    return { ...rate, cpuSeconds: ownCpu, more: { lanes: String(job.lanes) } }
  })
}, Effect.scoped)

const moduleOf = (query: string): string => pipelineFile(`nexmark-${query}`)

type Plans = ReadonlyMap<string, Plan>

const plansOf = Effect.fnUntraced(function* ({ queries }: NexmarkRun) {
  const plans = new Map<string, Plan>()
  for (const query of queries) plans.set(query, (yield* loadPipeline(moduleOf(query))).plan)
  return plans
})

const show = Effect.fnUntraced(function* (
  { queries, rounds }: NexmarkRun,
  plans: Plans,
  measure: Parameters<typeof rated>[0]["measure"]
) {
  const operators = (query: string) => operatorsOf(plans.get(query)!)
  const { rows, failed } = yield* Effect.promise(() => rated({ queries, rounds, operators, measure, print: console }))
  console.table(rows)
  if (failed) return yield* new NexmarkFailed({ message: "some queries did not come to their end" })
})

const withoutTables = ({ clickhouse: _, ...job }: JobConfig): Omit<JobConfig, "clickhouse"> => job

const attempt = <A>(what: string, run: () => Promise<A>): Effect.Effect<A, NexmarkFailed> =>
  Effect.tryPromise({
    try: run,
    catch: cause => new NexmarkFailed({ message: `${what}: ${adviceOn(cause)}` })
  })

/** What is there already may be anybody's. */
const adviceOn = (cause: unknown): string => {
  const message = messageOf(cause)
  const exists = cause instanceof KafkaError && cause.reason === "TopicExists"
  return exists ? `${message}. Remove the topics ${NEXMARK_TOPICS.join(", ")} first` : message
}
