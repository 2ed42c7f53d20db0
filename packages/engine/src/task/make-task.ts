import { exchangesOf, of } from "../names.ts"
import type { TopicPartition } from "../ports/log.ts"
import { ExchangeTask } from "./exchange-task.ts"
import type { Outputs } from "./outputs.ts"
import type { TaskParts } from "./partition-task.ts"
import { SourceTask } from "./source-task.ts"
import type { Task } from "./task.ts"

/** Builds the task of a partition from the plan. */
export const makeTask = (parts: TaskParts, partition: TopicPartition, outputs: () => Outputs): Task => {
  const { plan, app } = parts
  const source = of(plan, "source").find(({ topic }) => topic === partition.topic)
  if (source !== undefined) return new SourceTask(parts, source, partition, outputs)
  const exchanges = exchangesOf(plan, app, partition.topic)
  if (exchanges.length === 0) throw new Error(`The plan does not read ${partition.topic}`)
  return new ExchangeTask(parts, exchanges, partition, outputs)
}
