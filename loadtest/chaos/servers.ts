import {
  type ClickHouse,
  freePorts,
  type Kafka,
  type Registry,
  startClickHouse,
  startKafka,
  startKafkaCluster,
  startRegistry
} from "@headrace/dev"
import { Admin } from "@headrace/kafka"
import { TOPICS } from "./job/movement.ts"
import { Link } from "./net/link.ts"
import { answers, chunks, frames } from "./net/units.ts"

/** The servers, and the proxies through which alone Headrace sees them. Load and audit go straight to the servers. */
export interface Servers {
  /** Straight to the brokers. */
  readonly bootstrap: string
  readonly brokers: readonly Kafka[]
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

/** One broker stands behind a proxy. Several are for what happens among themselves, and reached directly. */
export const startServers = async (brokers: 1 | 3, partitions: number): Promise<Servers> => {
  const [kafka, registry, clickhouse] = await Promise.all([
    brokers === 1 ? startBehind() : startSeveral(brokers),
    startRegistry(),
    startClickHouse()
  ])
  await createTopics(kafka.bootstrap, partitions, brokers)
  const registryLink = new Link(portOf(registry.url), chunks, () => true)
  const clickhouseLink = new Link(portOf(clickhouse.url), chunks, () => true)
  const links = { kafka: kafka.link, registry: registryLink, clickhouse: clickhouseLink }
  const through = (url: string, port: number) => url.replace(/:\d+/, `:${port}`)
  return {
    bootstrap: kafka.bootstrap,
    brokers: kafka.brokers,
    registry,
    clickhouse,
    links,
    proxied: {
      kafka: kafka.proxied,
      registry: through(registry.url, await registryLink.listen()),
      clickhouse: async label => through(clickhouse.url, await clickhouseLink.listen(label))
    },
    stop: async () => {
      for (const link of Object.values(links)) link.close()
      await Promise.all([...kafka.brokers, registry, clickhouse].map(server => server.stop()))
    }
  }
}

interface Brokers {
  readonly bootstrap: string
  readonly brokers: readonly Kafka[]
  readonly link: Link
  readonly proxied: string
}

const startSeveral = async (count: number): Promise<Brokers> => {
  const { bootstrap, brokers } = await startKafkaCluster(count)
  return { bootstrap, brokers, link: new Link(brokers[0]!.port, frames, answers), proxied: bootstrap }
}

/** A second listener, whose advertised address is the proxy's: whoever comes by the proxy stays with it. */
const startBehind = async (): Promise<Brokers> => {
  const [port, behind, controller] = (await freePorts(3)) as [number, number, number]
  const link = new Link(behind, frames, answers)
  const ahead = await link.listen()
  const kafka = await startKafka({
    port,
    settings: {
      listeners: `PLAINTEXT://127.0.0.1:${port},PROXIED://127.0.0.1:${behind},CONTROLLER://127.0.0.1:${controller}`,
      "advertised.listeners": `PLAINTEXT://127.0.0.1:${port},PROXIED://127.0.0.1:${ahead}`,
      "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,PROXIED:PLAINTEXT,CONTROLLER:PLAINTEXT",
      "inter.broker.listener.name": "PLAINTEXT",
      "controller.quorum.voters": `1@127.0.0.1:${controller}`
    }
  })
  return { bootstrap: kafka.bootstrap, brokers: [kafka], link, proxied: `127.0.0.1:${ahead}` }
}

const createTopics = async (bootstrap: string, partitions: number, replication: number): Promise<void> => {
  const admin = Admin.open({ "bootstrap.servers": bootstrap })
  await admin.createTopics(Object.values(TOPICS).map(topic => ({ topic, partitions, replication })))
  await admin.close()
}

const portOf = (url: string): number => Number(new URL(url).port)
