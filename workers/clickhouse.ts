import { ClickHouseError, runJobSink } from "@headrace/clickhouse"
import { beating, Codecs, fatal, LaneMetrics, type WorkerTask } from "@headrace/engine"
import { kafkaCommittedLogs } from "@headrace/kafka"
import { Effect, Layer } from "effect"
import type { ClickHouseSinkNode, Plan } from "headrace"
import { layerNoted } from "./log.ts"
import { planOf } from "./plan.ts"
import { asFatal, servicesOf } from "./services.ts"
import { stopped } from "./stopped.ts"

/** One table, for as long as the job runs: the task of a pool's thread. */
export default async (task: WorkerTask): Promise<void> => {
  const metrics = new LaneMetrics(task.metrics)
  const node = nodeOf(await planOf(task), task.nodeId)
  await Effect.runPromise(
    Effect.raceAllFirst([sink(task, node, metrics), stopped(task), beating(metrics)]).pipe(
      Effect.mapError(error =>
        error instanceof ClickHouseError && !error.passes ? fatal(error.message, { cause: error }) : asFatal(error)
      ),
      Effect.provide(layerNoted(metrics)),
      Effect.provide(Layer.merge(servicesOf(task.job), kafkaCommittedLogs(task.job.kafka))),
      Effect.ensuring(Effect.sync(() => task.control.close()))
    )
  )
}

/** Runs until it is interrupted, which leaves everything in order. */
const sink = Effect.fnUntraced(function* ({ job }: WorkerTask, node: ClickHouseSinkNode, metrics: LaneMetrics) {
  const codecs = yield* Codecs
  const decoder = yield* codecs.decoder(node.schema, node.topic)
  return yield* runJobSink(job, node, decoder, metrics)
})

const nodeOf = (plan: Plan, id: string | undefined): ClickHouseSinkNode => {
  const node = plan.nodes.find(each => each.id === id)
  if (node?.kind === "clickhouseSink") return node
  throw fatal(`the plan of ${plan.name} has no ClickHouse sink ${id}`)
}
