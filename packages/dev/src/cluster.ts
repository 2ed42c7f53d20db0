import { type Kafka, startKafka } from "./kafka.ts"
import { freePorts, retryPorts } from "./process.ts"

/** Several brokers, each a voter of the quorum as well. */
export interface KafkaCluster {
  /** All of them, for clients. */
  readonly bootstrap: string
  readonly brokers: readonly Kafka[]
  stop(): Promise<void>
}

/**
 * Starts Apache Kafka with several nodes, as `startKafka` does with one. Each partition is on all of them, and a write
 * needs a majority: any minority may be killed.
 */
export function startKafkaCluster(nodes: number): Promise<KafkaCluster> {
  return retryPorts(async () => {
    const ports = await freePorts(2 * nodes)
    const controllers = ports.splice(nodes)
    const voters = controllers.map((port, i) => `${i + 1}@127.0.0.1:${port}`).join(",")
    const starting = ports.map((port, i) =>
      startKafka({ port, node: i + 1, settings: settingsOf(i, ports, controllers, voters) })
    )
    const started = await Promise.allSettled(starting)
    const brokers = started.flatMap(one => (one.status === "fulfilled" ? [one.value] : []))
    const stop = async () => {
      await Promise.all(brokers.map(broker => broker.stop()))
    }
    const failed = started.find(one => one.status === "rejected")
    if (failed !== undefined) {
      await stop()
      throw failed.reason
    }
    return { bootstrap: brokers.map(({ bootstrap }) => bootstrap).join(","), brokers, stop }
  })
}

function settingsOf(
  index: number,
  ports: readonly number[],
  controllers: readonly number[],
  voters: string
): Readonly<Record<string, string>> {
  const all = String(ports.length)
  const most = String(Math.floor(ports.length / 2) + 1)
  return {
    "node.id": String(index + 1),
    listeners: `PLAINTEXT://127.0.0.1:${ports[index]},CONTROLLER://127.0.0.1:${controllers[index]}`,
    "controller.quorum.voters": voters,
    "default.replication.factor": all,
    "min.insync.replicas": most,
    "offsets.topic.replication.factor": all,
    "transaction.state.log.replication.factor": all,
    "transaction.state.log.min.isr": most,
    // A follower that was killed is out of the way of writers soon; the default is 30 s.
    "replica.lag.time.max.ms": "3000"
  }
}
