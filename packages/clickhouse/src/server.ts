import { Readable } from "node:stream"
import { type ClickHouseClient, createClient } from "@clickhouse/client"
import { messageOf } from "@headrace/core"
import { Context, Effect, Layer, type Scope } from "effect"
import { Refused, Unavailable } from "./errors.ts"

export interface ServerConfig {
  /**
   * `http://host:8123`, `https://…`, or `chdb:/directory`: ClickHouse inside of this process. A process has one directory
   * at a time and a directory one process; the process's threads share it.
   */
  readonly url: string
  readonly database: string
  readonly username?: string | undefined
  readonly password?: string | undefined
}

/** What went wrong with one call: try again, or never again. */
export type CallError = Unavailable | Refused

/** A ClickHouse to talk to: the same for a server over HTTP and for the embedded one. */
export interface ServerShape {
  readonly database: string
  /** A statement without rows. */
  readonly command: (sql: string) => Effect.Effect<void, CallError>
  readonly query: (sql: string) => Effect.Effect<readonly Record<string, unknown>[], CallError>
  /** One insert of RowBinary bytes; `statement` gets the SQL for where the rows come from. */
  readonly insert: (
    structure: string,
    statement: (source: string) => string,
    body: readonly Uint8Array[]
  ) => Effect.Effect<void, CallError>
}

export class Server extends Context.Service<Server, ServerShape>()("@headrace/clickhouse/Server") {
  static readonly layer = (config: ServerConfig) => Layer.effect(Server, connect(config))
}

/** The longest that one call may take: also how long a request that was sent can live on, see docs of `sink.ts`. */
const CALL_TIMEOUT_MS = 30_000

/** Makes a client; the server need not be up. Closed with the scope. */
export const connect = (config: ServerConfig): Effect.Effect<ServerShape, CallError, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(Effect.tryPromise({ try: () => clientOf(config), catch: classify }), client =>
      Effect.promise(() => client.close())
    ),
    client => shapeOf(client, config)
  )

const EMBEDDED = "chdb:"

/** chdb's types come from another copy of the client's, with laxer optional properties. */
type ClientConfig = NonNullable<Parameters<typeof createClient>[0]>

const clientOf = async (config: ServerConfig): Promise<ClickHouseClient> => {
  if (!config.url.startsWith(EMBEDDED)) return overHttp(config)
  const { createChdbConnection } = await import("chdb/connection")
  const connection = opened(config.url.slice(EMBEDDED.length), path => createChdbConnection({ path }))
  return createClient({ connection: connection as unknown as NonNullable<ClientConfig["connection"]> })
}

/** The engine says why on standard error only. */
const opened = <A>(directory: string, open: (directory: string) => A): A => {
  try {
    return open(directory)
  } catch (cause) {
    const message = `the embedded ClickHouse cannot open ${directory}; does another process use it?`
    throw new Error(`${message} (${messageOf(cause)})`, { cause })
  }
}

/** No compression: to a server nearby it costs more than it saves. */
const overHttp = ({ url, username, password }: ServerConfig): ClickHouseClient =>
  createClient({
    url,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    application: "headrace",
    request_timeout: CALL_TIMEOUT_MS,
    compression: { request: false, response: false },
    keep_alive: { enabled: true, idle_socket_ttl: 2500 },
    log: { level: 127 }
  })

const shapeOf = (client: ClickHouseClient, config: ServerConfig): ServerShape => {
  const call = <A>(run: (signal: AbortSignal) => Promise<A>) => Effect.tryPromise({ try: run, catch: classify })
  const insertBytes = config.url.startsWith(EMBEDDED) ? inText(client) : inBody(client)
  return {
    database: config.database,
    command: sql => call(() => client.command({ query: sql })).pipe(Effect.asVoid),
    query: sql =>
      call(async () => (await client.query({ query: sql, format: "JSONEachRow" })).json<Record<string, unknown>>()),
    insert: (structure, statement, body) => call(() => insertBytes(structure, statement, body))
  }
}

type InsertBytes = (
  structure: string,
  statement: (source: string) => string,
  body: readonly Uint8Array[]
) => Promise<void>

/** Over HTTP the bytes are the body of the request. */
const inBody =
  (client: ClickHouseClient): InsertBytes =>
  async (structure, statement, body) => {
    const { stream } = await client.exec({
      query: `${statement(`input(${structure})`)} FORMAT RowBinary`,
      values: Readable.from(body, { objectMode: false }),
      clickhouse_settings: { wait_end_of_query: 1 }
    })
    await stream.resume().toArray()
  }

/**
 * Embedded: the client hands chdb one text, in which raw bytes would not survive (and `input()` silently reads
 * nothing there), so they travel as base64.
 */
const inText =
  (client: ClickHouseClient): InsertBytes =>
  async (structure, statement, body) => {
    const text = Buffer.concat(body).toString("base64")
    const sql = statement(`format(RowBinary, ${structure}, base64Decode('${text}'))`)
    await client.command({ query: sql, clickhouse_settings: { max_query_size: "1000000000" } })
  }

/**
 * Codes after which the same statement fails again: syntax, types, unknown names, rights. Everything else (memory, too
 * many parts, read-only for now, broken network) may pass.
 */
const PERMANENT = new Set([
  6, 8, 10, 16, 20, 26, 27, 36, 38, 41, 42, 43, 44, 46, 47, 48, 50, 53, 57, 60, 62, 63, 69, 70, 72, 73, 80, 81, 115,
  117, 130, 179, 192, 193, 194, 291, 349, 386, 407, 452, 456, 469, 497, 516
])

const classify = (cause: unknown): CallError => {
  const message = cause instanceof Error ? cause.message || String((cause as { code?: unknown }).code) : String(cause)
  const code = codeOf(cause)
  return PERMANENT.has(code) ? new Refused({ message, code, cause }) : new Unavailable({ message, cause })
}

const codeOf = (cause: unknown): number => {
  const code = (cause as { readonly code?: unknown } | null)?.code
  const number = Number(code)
  return typeof code === "string" && Number.isInteger(number) ? number : -1
}
