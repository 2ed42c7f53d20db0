import { randomBytes } from "node:crypto"
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { cached, cacheRoot, contentKey, type Log, silent } from "./cache.ts"
import { classArchive, type JavaCommand, lightJvm } from "./java.ts"
import { fetchJars } from "./maven.ts"
import { freePorts, makeScratch, type ProgramSpec, retryPorts, startServer } from "./process.ts"
import { findJava, run } from "./tools.ts"
import { brokerAnswers } from "./wire.ts"

/** The version that is fetched by default, and the logging library that its jars are made for. */
const kafkaVersion = "4.1.2"
const log4jVersions: Readonly<Record<string, string>> = { "4.1.2": "2.25.3", "4.4.0": "2.25.5" }
/** After which a member of a KIP-848 group that was killed is given up, unless a broker's settings say otherwise. */
export const consumerSessionMs = 6000
const clusterId = "headraceDevCluster0001"

export interface KafkaOptions {
  /** Apache Kafka's version; 4.1.2. */
  readonly version?: string
  /** Lines of server.properties that are added to, or replace, those of a single development node. */
  readonly settings?: Readonly<Record<string, string>>
  /** Keeps the data in this directory (made and formatted if missing) instead of one that goes with the broker. */
  readonly dataDir?: string
  /** The port of the plaintext listener; a free one. */
  readonly port?: number
  /** Its number in a cluster of several, see cluster.ts; 1. */
  readonly node?: number
  /** "light" (default): quick to start, 512 MB heap. "throughput": 1 GB, for load. */
  readonly profile?: "light" | "throughput"
  /** Told what is being done. */
  readonly log?: Log
}

/** A running broker. */
export interface Kafka {
  /** `host:port` for clients. */
  readonly bootstrap: string
  readonly port: number
  /** Log segments, server.properties and server.log; empty for a broker that was running before (HEADRACE_KAFKA). */
  readonly dataDir: string
  /** The JVM's process id; 0 for a broker that was running before. */
  readonly pid: number
  /** Orderly shutdown; the data goes too, unless `dataDir` was given. */
  stop(): Promise<void>
  /** From now on it outlives this process. */
  keep(): Promise<void>
  /** `kill -9`; the data stays for `restart`. */
  kill(): Promise<void>
  /** Starts it again on the same port with the same data, after an orderly shutdown if it still runs. */
  restart(): Promise<void>
}

/**
 * Starts Apache Kafka (KRaft, one node) on a free port and waits until it serves; several may run at once. It ends when
 * this process does, however that ends. With `HEADRACE_KAFKA=host:port` in the environment that running broker is
 * given back, and `stop` does nothing to it.
 *
 * Throws MissingTool when Java, Maven or a C compiler is missing, StartFailed with the end of the broker's log.
 */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const running = process.env.HEADRACE_KAFKA
  if (running) return runningKafka(running)
  const installed = await ensureKafka(options.log, options.version)
  return retryPorts(() => launch(installed, options))
}

async function runningKafka(bootstrap: string): Promise<Kafka> {
  const [, host, port] = /^\[?([^,]+?)\]?:(\d+)(?:,|$)/.exec(bootstrap) ?? []
  if (!host || !port) throw new Error(`HEADRACE_KAFKA=${bootstrap}: expected host:port`)
  if (!(await brokerAnswers(host, Number(port)))) {
    throw new Error(`HEADRACE_KAFKA=${bootstrap}: no Kafka broker answers there. Start it, or unset HEADRACE_KAFKA`)
  }
  const refuse = () => Promise.reject(new Error(`The broker of HEADRACE_KAFKA=${bootstrap} is not ours to stop`))
  return {
    bootstrap,
    port: Number(port),
    dataDir: "",
    pid: 0,
    stop: async () => {},
    keep: async () => {},
    kill: refuse,
    restart: refuse
  }
}

export interface InstalledKafka {
  readonly java: string
  /** The class path. */
  readonly jars: string
  /** Archive of classes (AppCDS). */
  readonly archive: string
  /** Formatted, empty log directories, to be copied: for a node that is alone, and for one of several. */
  readonly formatted: { readonly alone: string; readonly one: string }
}

/** Fetches the broker's jars and makes its class archive and formatted log directory, where the cache lacks them. */
export async function ensureKafka(log: Log = silent, version = kafkaVersion): Promise<InstalledKafka> {
  const home = join(cacheRoot(), `kafka-${version}`)
  const java = await findJava("Apache Kafka")
  if (!existsSync(join(home, "lib"))) log(`fetching Apache Kafka ${version} by Maven`)
  const lib = await cached(join(home, "lib"), directory => fetchJars(directory, artifacts(version), "Apache Kafka"))
  const jars = join(lib, "*")
  const formatted = {
    alone: await format(java.path, jars, home, ALONE),
    one: await format(java.path, jars, home, [])
  }
  const command = commandOf(jars, formatted.alone)
  return { java: java.path, jars, formatted, archive: await classArchive({ ...command, home }, log) }
}

function artifacts(version: string) {
  const log4j = log4jVersions[version]
  if (!log4j) throw new Error(`Kafka ${version}: known versions are ${Object.keys(log4jVersions).join(", ")}`)
  return [
    { group: "org.apache.kafka", name: "kafka_2.13", version },
    // Without a logging library behind its logging face the broker keeps even fatal errors to itself.
    { group: "org.apache.logging.log4j", name: "log4j-slf4j-impl", version: log4j }
  ]
}

/**
 * By default a `kill -9` makes a replica no more eligible as leader (KIP-966). Where there is no other one, all that this
 * does is to leave a broker that comes back without its partitions, unless the controller remembers who led them last.
 */
const ALONE = ["--feature", "eligible.leader.replicas.version=0"]

function format(java: string, jars: string, home: string, features: readonly string[]): Promise<string> {
  return cached(join(home, `formatted-${contentKey(clusterId, ...features)}`), async directory => {
    mkdirSync(directory)
    const file = join(directory, "format.properties")
    writeFileSync(file, properties(settingsOf([1, 2], directory)))
    const tool = ["kafka.tools.StorageTool", "format", "-t", clusterId, "-c", file, ...features]
    await run(java, [...lightJvm, "-cp", jars, ...tool], { reason: "formatting Kafka's log directory" })
    rmSync(file)
  })
}

function commandOf(jars: string, formatted: string): Omit<JavaCommand, "home"> {
  return {
    name: "Apache Kafka",
    args: (ports, dataDir) => {
      cpSync(formatted, dataDir, { recursive: true })
      return ["-Xmx512m", ...brokerArgs(jars, ports, dataDir, {})]
    },
    ready: ([port]) => brokerAnswers("127.0.0.1", port!)
  }
}

function brokerArgs(
  jars: string,
  ports: readonly number[],
  dataDir: string,
  settings: Readonly<Record<string, string>>
): string[] {
  const file = join(dataDir, "server.properties")
  writeFileSync(file, properties({ ...settingsOf(ports, dataDir), ...settings }))
  return ["-Dlog4j2.level=WARN", "-cp", jars, "kafka.Kafka", file]
}

function properties(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join("")
}

/** One node that is broker and controller, for a machine that it shares with what it serves. */
function settingsOf([port, controllerPort]: readonly number[], dataDir: string): Record<string, string> {
  return {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.quorum.voters": `1@127.0.0.1:${controllerPort}`,
    "controller.listener.names": "CONTROLLER",
    listeners: `PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}`,
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "log.dirs": dataDir,
    "auto.create.topics.enable": "false",
    // One node holds every replica that there is.
    "default.replication.factor": "1",
    "min.insync.replicas": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    // The defaults of 50 partitions each cost seconds when the first group or transaction comes.
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.num.partitions": "1",
    // Compacted early: a coordinator must have read its log before a restarted broker is made leader a second time, or it
    // answers with old offsets for good (docs/guarantees.md, Brokers that forget). Markers go after a minute.
    "offsets.topic.segment.bytes": "1048576",
    "log.cleaner.delete.retention.ms": "60000",
    // Groups settle at once, and a member that was killed is given up quickly in both group protocols.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",
    "group.consumer.min.session.timeout.ms": "1000",
    "group.consumer.session.timeout.ms": String(consumerSessionMs),
    "group.consumer.min.heartbeat.interval.ms": "100",
    "group.consumer.heartbeat.interval.ms": "1000",
    // After a kill the node is let in again only when its former self has timed out; the default is 9 s.
    "broker.session.timeout.ms": "2500",
    "broker.heartbeat.interval.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    // The default of 128 MB for compaction is a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": "16777216",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "log.message.timestamp.after.max.ms": "9223372036854775807",
    // Event time of tests is 1970: by the default of a week, records expire half a minute after the broker's start.
    "log.retention.ms": "-1"
  }
}

const jvmOf = {
  light: [...lightJvm, "-Xmx512m"],
  // C1 alone: beside the load on two cores, C2 compiles for a minute on end and takes half a core from everybody.
  throughput: [...lightJvm, "-Xms1g", "-Xmx1g", "-Xmn500m"]
} as const

async function launch(installed: InstalledKafka, options: KafkaOptions): Promise<Kafka> {
  const [freePort, controllerPort] = await freePorts(2)
  const port = options.port ?? freePort!
  const dataDir = options.dataDir ?? makeScratch("kafka")
  if (!existsSync(join(dataDir, "meta.properties"))) {
    const { alone, one } = installed.formatted
    cpSync(options.node === undefined ? alone : one, dataDir, { recursive: true })
    if (options.node !== undefined) becomeNode(dataDir, options.node)
  }
  const { java, archive, jars } = installed
  const jvm = [
    ...jvmOf[options.profile ?? "light"],
    `-XX:SharedArchiveFile=${archive}`,
    "-Xlog:disable",
    "-Xlog:all=error:stderr"
  ]
  const spec: ProgramSpec = {
    name: "Apache Kafka",
    command: [java, ...jvm, ...brokerArgs(jars, [port, controllerPort!], dataDir, options.settings ?? {})],
    logFile: join(dataDir, "server.log"),
    scratch: options.dataDir ? undefined : dataDir
  }
  const server = await startServer(spec, () => brokerAnswers("127.0.0.1", port))
  return Object.assign(server, { bootstrap: `127.0.0.1:${port}`, port, dataDir })
}

/** The formatted directory is that of node 1. */
function becomeNode(dataDir: string, node: number): void {
  const file = join(dataDir, "meta.properties")
  const renamed = readFileSync(file, "utf8")
    .replace(/^node\.id=.*$/m, `node.id=${node}`)
    .replace(/^directory\.id=.*$/m, `directory.id=${randomBytes(16).toString("base64url")}`)
  writeFileSync(file, renamed)
}
