import { connect } from "node:net"
import type { JobConfig } from "@headrace/engine"
import { Effect } from "effect"
import type { Status } from "./status.ts"
import { isEmbedded } from "./value.ts"

/** Something outside of this process that a job needs. */
export interface Need {
  /** As it is logged: "Kafka at host:9092". */
  readonly name: string
  /** Undefined when it is there; else why not, and what to do. Asked again and again: it must not throw. */
  readonly missing: () => Promise<string | undefined>
}

const RETRY_MS = 500
const REMIND_MS = 5000

/** Waits until everything that the job needs is there; says so at once and then every few seconds. */
export const awaitNeeds = (needs: readonly Need[], status: Status): Effect.Effect<void> =>
  Effect.forEach(needs, need => awaitNeed(need, status), { concurrency: "unbounded", discard: true })

const awaitNeed = Effect.fnUntraced(function* (need: Need, status: Status) {
  let said = 0
  while (true) {
    const reason = yield* Effect.promise(need.missing)
    if (reason === undefined) break
    status.waiting.set(need.name, reason)
    if (Date.now() - said >= REMIND_MS) {
      yield* Effect.logWarning(`waiting for ${need.name}: ${reason}`)
      said = Date.now()
    }
    yield* Effect.sleep(RETRY_MS)
  }
  status.waiting.delete(need.name)
  if (said > 0) yield* Effect.logInfo(`${need.name} is there`)
})

/** What a job talks to. */
export type Server = "kafka" | "registry" | "clickhouse"

/** How much of each does not answer at the moment; `some`: not every broker does. */
export type Away = Readonly<Partial<Record<Server, "all" | "some">>>

/** The servers that a job talks to. ClickHouse only where this process fills tables, and it is not embedded in it. */
export const serversOf = (
  job: JobConfig,
  tables: boolean
): { readonly kafka: Need; readonly others: readonly Need[] } => {
  const { bootstrap } = job.kafka
  const kafka = { name: `Kafka at ${bootstrap}`, missing: () => brokers(bootstrap) }
  return { kafka, others: Object.values(othersOf(job, tables)) }
}

const othersOf = ({ registry, clickhouse }: JobConfig, tables: boolean): Partial<Record<Server, Need>> => ({
  registry: {
    name: `the schema registry at ${registry.url}`,
    missing: () => http(`${registry.url}/subjects`, registry.auth)
  },
  ...(tables && clickhouse !== undefined && !isEmbedded(clickhouse.url)
    ? {
        clickhouse: {
          name: `ClickHouse at ${clickhouse.url}`,
          missing: () => http(new URL("/ping", clickhouse.url).href)
        }
      }
    : {})
})

/** Which of the servers do not answer at the moment. Any broker counts: it may lead what somebody waits for. */
export const awayOf = (job: JobConfig, tables: boolean): Effect.Effect<Away> => {
  const others = Object.entries(othersOf(job, tables))
  return Effect.promise(async () => {
    const [answers, missing] = await Promise.all([
      Promise.all(job.kafka.bootstrap.split(",").map(broker => connectable(broker.trim()))),
      Promise.all(others.map(([, need]) => need.missing()))
    ])
    const gone = answers.filter(answer => answer !== undefined).length
    const kafka: Away = gone === 0 ? {} : { kafka: gone === answers.length ? "all" : "some" }
    const rest = others.filter((_, i) => missing[i] !== undefined).map(([server]) => [server, "all"] as const)
    return { ...kafka, ...Object.fromEntries(rest) }
  })
}

/** One broker is enough: the others are found through it. */
const brokers = async (bootstrap: string): Promise<string | undefined> => {
  const answers = await Promise.all(bootstrap.split(",").map(broker => connectable(broker.trim())))
  return answers.includes(undefined) ? undefined : answers.join("; ")
}

const connectable = (broker: string): Promise<string | undefined> =>
  new Promise(resolve => {
    const [, host, port] = /^\[?(.+?)\]?:(\d+)$/.exec(broker) ?? []
    const socket = connect({ host: host ?? broker, port: Number(port), timeout: 3000 })
    const end = (answer: string | undefined) => {
      socket.destroy()
      resolve(answer)
    }
    socket.once("connect", () => end(undefined))
    socket.once("timeout", () => end("it does not answer within 3 s"))
    socket.once("error", error => end(reasonOf(error)))
  })

const http = async (url: string, auth?: string): Promise<string | undefined> => {
  try {
    const headers = auth === undefined ? {} : { authorization: `Basic ${Buffer.from(auth).toString("base64")}` }
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(3000) })
    await response.body?.cancel()
    return response.ok ? undefined : `${url} answers ${response.status} ${response.statusText}`
  } catch (error) {
    return reasonOf(error)
  }
}

/** Bun and Node say the same in different words. */
const reasonOf = (error: unknown): string => {
  const text = error instanceof Error ? `${codeOf(error)} ${codeOf(error.cause)} ${error.message}` : String(error)
  if (/ECONNREFUSED|ConnectionRefused/.test(text)) return "connection refused"
  if (/ENOTFOUND|EAI_AGAIN|DNS/.test(text)) return "the host's name is not known"
  if (/timed? ?out/i.test(text)) return "it does not answer within 3 s"
  return text.trim()
}
const codeOf = (error: unknown): string =>
  typeof error === "object" && error !== null && "code" in error ? String(error.code) : ""
