import { existsSync, readdirSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Follower } from "./audit/follower.ts"
import { Tables } from "./audit/tables.ts"
import { Feed } from "./feed.ts"
import { Instance } from "./instance.ts"
import { APP, TOPICS } from "./job/movement.ts"
import type { Clocks, Disk } from "./machine.ts"
import type { Precedence } from "./precedence.ts"
import { type Servers, startServers } from "./servers.ts"

export type GroupProtocol = "classic" | "consumer"

export interface WorldOptions {
  /** Headrace itself; see `place.ts`. */
  readonly program: readonly string[]
  /** The pipeline's module. */
  readonly job: string
  /** One, behind a proxy; or three, with three copies of everything. */
  readonly brokers: 1 | 3
  readonly accounts: number
  readonly rate: number
  readonly seed: number
  readonly sessionMs: number
  /** Of the group. */
  readonly protocol: GroupProtocol
  /** Lanes of each instance that follow what others own. */
  readonly standby: number
  /** A fault that is not over by then is a failure, and so is what has not come out so long after the last event. */
  readonly patienceMs: number
  /** For logs and configuration. */
  readonly directory: string
  readonly disk: Disk
  readonly clocks: Clocks
  /** Of this run over all else. */
  readonly precedence?: Precedence
  readonly say: (line: string) => void
  /** Aborted when the run is to end early. */
  readonly signal: AbortSignal
}

/** A moment that recovery is measured from: an event that was sent after it must come out of every partition. */
export interface Mark {
  readonly at: number
  readonly beyond: number
}

export const PARTITIONS = 6
const NAMES = ["a", "b", "c"] as const
const GUEST = "d"
const GUEST_SESSION_MS = 3000
const START_LIMIT_MS = 120_000
const SHARE = ["headrace_partitions", "headrace_standby_wanted", "headrace_standby_partitions"] as const
const LOOK_EVERY_MS = 200

const hasItsShare = (found: Readonly<Record<(typeof SHARE)[number], number>> | undefined): boolean =>
  found?.headrace_partitions === PARTITIONS / NAMES.length &&
  found.headrace_standby_partitions === found.headrace_standby_wanted

const isWrittenSince = (directory: string, since: number): boolean =>
  existsSync(directory) &&
  readdirSync(directory).some(
    name =>
      name.endsWith(".checkpoint") &&
      (statSync(join(directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0) >= since
  )

/** Servers, proxies, instances, load and audit of one run. */
export class World {
  readonly instances: readonly Instance[]
  /** One more that comes and goes. */
  readonly guest: Instance
  /** What should not have happened, in words. */
  readonly problems: string[] = []
  private readonly supervisor: ReturnType<typeof setInterval>
  /** Aborted when an instance gives up before anything came out. */
  private readonly stillborn = new AbortController()
  private started = false
  /** Ends when rows have shown, or should have. */
  private showing: Promise<void> | undefined

  private constructor(
    options: WorldOptions,
    servers: Servers,
    feed: Feed,
    follower: Follower,
    tables: Tables,
    instances: readonly Instance[]
  ) {
    this.options = options
    this.servers = servers
    this.feed = feed
    this.follower = follower
    this.tables = tables
    this.instances = instances.slice(0, NAMES.length)
    this.guest = instances[NAMES.length]!
    this.supervisor = setInterval(() => this.supervise(), 1000)
  }
  readonly options: WorldOptions
  readonly servers: Servers
  readonly feed: Feed
  readonly follower: Follower
  readonly tables: Tables

  /** Everything runs, each account has its state, of which there are checkpoints, and the load is on. */
  static async start(options: WorldOptions): Promise<World> {
    const { say, accounts, rate, seed, signal } = options
    say("starting servers")
    const servers = await startServers(options.brokers, PARTITIONS)
    const direct = {
      bootstrap: servers.bootstrap,
      registry: servers.registry.url,
      partitions: PARTITIONS,
      accounts
    }
    const feed = await Feed.open({ ...direct, rate, seed })
    const follower = new Follower({ ...direct, topic: TOPICS.balances, alerts: TOPICS.alerts }, say)
    const instances = await Promise.all([...NAMES, GUEST].map(name => openInstance(name, options, servers)))
    const world = new World(options, servers, feed, follower, new Tables(servers.clickhouse.url), instances)
    for (const instance of world.instances) instance.start()
    await feed.fill()
    feed.start()
    say(`${accounts} accounts filled, ${rate} events/s from now on`)
    const filledAt = Date.now()
    const either = AbortSignal.any([signal, world.stillborn.signal])
    const ready = await follower.reached(accounts, START_LIMIT_MS, either)
    const begun = ready !== undefined && (await world.checkpointed(filledAt, either))
    world.started = true
    if (begun || signal.aborted) return world
    const what = ready === undefined ? "nothing came out" : "not all partitions had a checkpoint"
    const logs = world.logs()
    await world.close()
    throw new Error(`${what} within ${START_LIMIT_MS} ms:\n${logs}`)
  }

  /** Until there is a checkpoint of each partition that was written since then: what it holds is not read as changelog any more. */
  private async checkpointed(since: number, signal: AbortSignal): Promise<boolean> {
    const deadline = performance.now() + START_LIMIT_MS
    const places = Array.from({ length: PARTITIONS }, (_, partition) =>
      join(this.options.disk.directory, APP, TOPICS.movements, String(partition))
    )
    while (performance.now() < deadline && !signal.aborted) {
      if (places.every(place => isWrittenSince(place, since))) return true
      await pause(LOOK_EVERY_MS, signal)
    }
    return false
  }

  mark(): Mark {
    return { at: Date.now(), beyond: this.feed.sent }
  }

  /** Until events that were sent after the mark have come out of each partition, ms; undefined: they never did. */
  async recovered({ at, beyond }: Mark, where: "kafka" | "clickhouse"): Promise<number | undefined> {
    const { signal, patienceMs } = this.options
    const reached =
      where === "kafka"
        ? await this.follower.reached(beyond, patienceMs, signal)
        : await this.tables.reached(beyond, PARTITIONS, patienceMs, signal)
    return reached === undefined ? undefined : Math.max(0, reached - at)
  }

  /**
   * What shows in Kafka has to show in ClickHouse, too, in every partition: looked at beside what comes next, one at a time. A table
   * that stood still for minutes and came out with the load's end would not be seen otherwise.
   */
  showsInTables(mark: Mark, what: string): void {
    const { signal, patienceMs } = this.options
    this.showing ??= this.recovered(mark, "clickhouse").then(ms => {
      this.showing = undefined
      if (ms === undefined && !signal.aborted)
        this.problems.push(`no rows of some partition showed in ClickHouse for ${patienceMs} ms after ${what}`)
    })
  }

  /** What is not a fault of its own has to show in every partition as well. */
  async settled(what: string): Promise<void> {
    const { signal, patienceMs } = this.options
    if ((await this.recovered(this.mark(), "kafka")) === undefined && !signal.aborted)
      this.problems.push(`nothing came out of some partition for ${patienceMs} ms after ${what}`)
  }

  /** After which the guest is no member any more. */
  get guestSessionMs(): number {
    return guestSessionOf(this.options)
  }

  /** Until each instance has its share of the partitions, and a copy of all that it is to follow; false: not in time. */
  async shared(): Promise<boolean> {
    const { signal, patienceMs } = this.options
    const deadline = performance.now() + patienceMs
    while (performance.now() < deadline && !signal.aborted) {
      const all = await Promise.all(this.instances.map(one => one.gauges(SHARE)))
      if (all.every(hasItsShare)) return true
      await pause(LOOK_EVERY_MS, signal)
    }
    return signal.aborted
  }

  /** Ends the load, and waits until everything has come out, in both places, then stops the instances cleanly. */
  async drain(): Promise<void> {
    await this.feed.stop()
    await this.showing
    const forever = new AbortController().signal
    const deadline = performance.now() + this.options.patienceMs
    const alerts = this.feed.alerts().length
    while (performance.now() < deadline && !(await this.isOut(alerts))) await pause(200, forever)
    // What comes twice may come the second time when all has come once.
    await pause(2000, forever)
    clearInterval(this.supervisor)
    for (const instance of [...this.instances, this.guest]) {
      const code = await instance.stop()
      if (code !== 0) this.problems.push(`${instance.name} stopped with ${code}: ${tail(instance.log)}`)
    }
  }

  private async isOut(alerts: number): Promise<boolean> {
    const { feed, follower, tables } = this
    follower.check()
    if (follower.records < feed.sent || follower.alerts < alerts) return false
    return (await tables.rows()) >= feed.sent && (await tables.alerts()).size >= alerts
  }

  async close(): Promise<void> {
    clearInterval(this.supervisor)
    await Promise.all([...this.instances, this.guest].map(instance => instance.kill()))
    await Promise.all([this.follower.stop(), this.feed.close(), this.tables.close()])
    await this.servers.stop()
  }

  pause(ms: number): Promise<void> {
    return pause(ms, this.options.signal)
  }

  logs(): string {
    return this.instances.map(({ name, log }) => `── ${name}\n${tail(log)}`).join("\n")
  }

  private supervise(): void {
    for (const instance of [...this.instances, this.guest].filter(one => one.gaveUp)) {
      if (!this.started) return this.stillborn.abort()
      this.problems.push(`${instance.name} gave up: ${tail(instance.log)}`)
      this.options.say(`${instance.name} gave up by itself and is started again; see ${instance.logFile}`)
      instance.start()
    }
  }
}

const openInstance = async (name: string, options: WorldOptions, servers: Servers): Promise<Instance> => {
  const { proxied } = servers
  const sessionMs = name === GUEST ? guestSessionOf(options) : options.sessionMs
  const config = join(options.directory, `${name}.yaml`)
  writeFileSync(config, JSON.stringify(configOf({ ...options, sessionMs })))
  return new Instance({
    name,
    program: options.program,
    job: config,
    kafka: proxied.kafka,
    registry: proxied.registry,
    clickhouse: await proxied.clickhouse(name),
    checkpoints: options.disk.directory,
    directory: options.directory,
    flags: ["--lanes", "1", "--checkpoint-interval", "10 seconds", "--standby", String(options.standby)],
    env: options.clocks.environment(name),
    started: pid => options.precedence?.give(pid)
  })
}

/** The broker's with KIP-848. */
const guestSessionOf = ({ protocol, sessionMs }: WorldOptions): number =>
  protocol === "consumer" ? sessionMs : Math.min(sessionMs, GUEST_SESSION_MS)

const configOf = ({ job, sessionMs, brokers, protocol }: WorldOptions) => ({
  pipeline: job,
  topics: { replication: brokers },
  session: { timeout: `${sessionMs} millis` },
  clusters: { kafka: { settings: { "socket.timeout.ms": "5000", "group.protocol": protocol } } }
})

const tail = (text: string): string => text.trimEnd().split("\n").slice(-12).join("\n")

/** Ends early with the signal. */
export const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise(resolve => {
    const end = () => {
      clearTimeout(timer)
      signal.removeEventListener("abort", end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener("abort", end)
    if (signal.aborted) end()
  })
