import {
  type ClickHouse,
  freePorts,
  type Kafka,
  type Registry,
  startClickHouse,
  startKafka,
  startRegistry
} from "@headrace/dev"
import { Admin } from "@headrace/kafka"
import { TOPICS } from "./job/movement.ts"
import { Link } from "./net/link.ts"
import { answers, chunks, frames } from "./net/units.ts"

/** The servers, and the proxies through which alone Headrace sees them. Load and audit go straight to the servers. */
export interface Servers {
  readonly kafka: Kafka
  readonly registry: Registry
  readonly clickhouse: ClickHouse
  readonly links: { readonly kafka: Link; readonly registry: Link; readonly clickhouse: Link }
  /** What the instances are told. */
  readonly proxied: {
    readonly kafka: string
    readonly registry: string
    readonly clickhouse: (label: string) => Promise<string>
  }
  readonly stop: () => Promise<void>
}

export const startServers = async (partitions: number): Promise<Servers> => {
  const [behind, controller] = (await freePorts(2)) as [number, number]
  const kafkaLink = new Link(behind, frames, answers)
  const ahead = await kafkaLink.listen()
  const [kafka, registry, clickhouse] = await Promise.all([
    startBehind(behind, ahead, controller),
    startRegistry(),
    startClickHouse()
  ])
  await createTopics(kafka.bootstrap, partitions, 1)
  const registryLink = new Link(portOf(registry.url), chunks, () => true)
  const clickhouseLink = new Link(portOf(clickhouse.url), chunks, () => true)
  const links = { kafka: kafkaLink, registry: registryLink, clickhouse: clickhouseLink }
  const through = (url: string, port: number) => url.replace(/:\d+/, `:${port}`)
  return {
    kafka,
    registry,
    clickhouse,
    links,
    proxied: {
      kafka: `127.0.0.1:${ahead}`,
      registry: through(registry.url, await registryLink.listen()),
      clickhouse: async label => through(clickhouse.url, await clickhouseLink.listen(label))
    },
    stop: async () => {
      for (const link of Object.values(links)) link.close()
      await Promise.all([kafka.stop(), registry.stop(), clickhouse.stop()])
    }
  }
}

/** A second listener, whose advertised address is the proxy's: whoever comes by the proxy stays with it. */
const startBehind = async (behind: number, ahead: number, controller: number): Promise<Kafka> => {
  const [port] = (await freePorts(1)) as [number]
  return startKafka({
    port,
    settings: {
      listeners: `PLAINTEXT://127.0.0.1:${port},PROXIED://127.0.0.1:${behind},CONTROLLER://127.0.0.1:${controller}`,
      "advertised.listeners": `PLAINTEXT://127.0.0.1:${port},PROXIED://127.0.0.1:${ahead}`,
      "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
      "inter.broker.listener.name": "PLAINTEXT",
      "controller.quorum.voters": `1@127.0.0.1:${controller}`
    }
  })
}

export const createTopics = async (bootstrap: string, partitions: number, replication: number): Promise<void> => {
  const admin = Admin.open({ "bootstrap.servers": bootstrap })
  await admin.createTopics(Object.values(TOPICS).map(topic => ({ topic, partitions, replication })))
  await admin.close()
}

const portOf = (url: string): number => Number(new URL(url).port)
