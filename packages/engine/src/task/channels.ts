import type { ExchangeNode, Plan } from "headrace"
import { upstreamTopics } from "../names.ts"
import type { TopicPartition } from "../ports/log.ts"

/** How many partitions a topic has, of all that the job reads and writes. */
export type PartitionCount = (topic: string) => number

/** The partitions that flow into an exchange, numbered: those of one topic behind those of another. */
export class Channels {
  readonly size: number
  private readonly exchange: string
  private readonly first = new Map<string, number>()

  constructor(plan: Plan, app: string, exchange: ExchangeNode, partitions: PartitionCount) {
    this.exchange = exchange.id
    let size = 0
    for (const topic of upstreamTopics(plan, app, exchange)) {
      this.first.set(topic, size)
      size += partitions(topic)
    }
    this.size = size
  }

  numberOf({ topic, partition }: TopicPartition): number {
    const first = this.first.get(topic)
    if (first === undefined) throw new Error(`${topic} does not flow into ${this.exchange}`)
    return first + partition
  }
}
