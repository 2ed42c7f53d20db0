import { messageOf } from "@headrace/core"
import { CLIENT_DEFAULTS } from "./defaults.ts"
import { attemptNow, invalid, type KafkaError, kafkaError } from "./error.ts"
import type { NativeHandle, NativeListener, NativePlace, NativeSetting } from "./native.ts"

/** A bearer token for SASL/OAUTHBEARER. */
export interface Token {
  readonly value: string
  /** When it ends, in ms since 1970. */
  readonly untilMs: number
  readonly principal: string
}

export interface ClientOptions {
  /**
   * For `sasl.mechanism=OAUTHBEARER`: fetches a token, at start and whenever the last one has run through 80 % of its
   * life. A failure is tried again after 10 s.
   */
  readonly token?: () => Promise<Token>
}

/** What a request came to: two numbers and JSON, by the kind of the request. */
export interface Answer {
  readonly a: number
  readonly b: number
  readonly text: string | undefined
}

interface Waiting {
  readonly operation: string
  readonly resolve: (answer: Answer) => void
  readonly reject: (error: KafkaError) => void
}

interface Kind {
  readonly open: (settings: readonly NativeSetting[], listener: NativeListener) => NativeHandle
  readonly hold: (handle: NativeHandle, hold: boolean) => void
  readonly setToken: (handle: NativeHandle, token: string, untilMs: number, principal: string) => void
  readonly refuseToken: (handle: NativeHandle, reason: string) => void
}

/** Clients with requests under way: these must not be collected before the answers have come. */
const busy = new Set<Requests>()

/** The requests of one client that are under way. While there are any, the client keeps its event loop alive. */
export class Requests {
  handle: NativeHandle | undefined
  readonly #kind: Kind
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  constructor(kind: Kind) {
    this.#kind = kind
  }

  send(operation: string, call: (id: number) => void): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const id = this.#next()
      this.#waiting.set(id, { operation, resolve, reject })
      if (this.#waiting.size === 1) this.#hold(true)
      try {
        call(id)
      } catch (thrown) {
        this.#take(id)
        reject(kafkaError(operation, thrown))
      }
    })
  }

  #hold(hold: boolean): void {
    if (hold) busy.add(this)
    else busy.delete(this)
    if (this.handle !== undefined) this.#kind.hold(this.handle, hold)
  }

  /** Numbers wrap around long after their request was answered. */
  #next(): number {
    this.#last = this.#last === 0xffff_fffe ? 1 : this.#last + 1
    return this.#last
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    if (this.#waiting.delete(id) && this.#waiting.size === 0) this.#hold(false)
    return waiting
  }

  settle(id: number, error: string | null | undefined, answer: Answer): void {
    const waiting = this.#take(id)
    if (waiting === undefined) return
    if (typeof error === "string") waiting.reject(kafkaError(waiting.operation, error))
    else waiting.resolve(answer)
  }
}

export interface Opened {
  readonly handle: NativeHandle
  readonly requests: Requests
}

/** Opens a client of the add-on. Connects in the background: a broker that is away shows in later calls only. */
export const open = (
  what: string,
  kind: Kind,
  config: Readonly<Record<string, string>>,
  options: ClientOptions
): Opened => {
  const all = { ...CLIENT_DEFAULTS, ...config }
  const settings = Object.entries(all).map(([name, value]) => ({ name, value: checked(what, name, value) }))
  const requests = new Requests(kind)
  const handle = attemptNow(`open a ${what}`, () => kind.open(settings, listen(new WeakRef(requests), kind, options)))
  requests.handle = handle
  return { handle, requests }
}

/** The add-on keeps its listener for good, so the listener must not keep the client: else it is never collected. */
const listen =
  (client: WeakRef<Requests>, kind: Kind, options: ClientOptions): NativeListener =>
  (id, error, a, b, text) => {
    const requests = client.deref()
    if (id !== 0) requests?.settle(id, error, { a, b, text: text ?? undefined })
    else if (requests?.handle !== undefined) void renewToken(kind, requests.handle, options)
  }

const checked = (what: string, name: string, value: unknown): string => {
  if (typeof value === "string") return value
  throw invalid(`open a ${what}`, `the setting ${name} must be a string, and is ${typeof value}`)
}

const renewToken = async (kind: Kind, handle: NativeHandle, options: ClientOptions): Promise<void> => {
  try {
    if (options.token === undefined) throw new Error("no token function was given for OAUTHBEARER")
    const { value, untilMs, principal } = await options.token()
    kind.setToken(handle, value, untilMs, principal)
  } catch (thrown) {
    refuse(kind, handle, thrown)
  }
}

/** The client reports the reason as an error event, and asks again. */
const refuse = (kind: Kind, handle: NativeHandle, reason: unknown): void => {
  try {
    kind.refuseToken(handle, messageOf(reason))
  } catch (thrown) {
    if (kafkaError("refuse a token", thrown).reason !== "Closed") throw thrown
  }
}

/** A partition of a topic. */
export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

/** A place in a partition: an offset, or one of the log's ends. */
export interface Position extends TopicPartition {
  readonly offset: number | "beginning" | "end"
}

/** An offset to commit, with free text (up to the broker's 4 KB) beside it. */
export interface CommitOffset extends TopicPartition {
  readonly offset: number
  readonly metadata?: string
}

const BEGINNING = -2
const END = -1

export const toPlace = ({ topic, partition }: TopicPartition): NativePlace => ({ topic, partition })

export const toPositionPlace = ({ topic, partition, offset }: Position): NativePlace => ({
  topic,
  partition,
  offset: offset === "beginning" ? BEGINNING : offset === "end" ? END : offset
})

export const toOffsetPlace = ({ topic, partition, offset, metadata }: CommitOffset): NativePlace => ({
  topic,
  partition,
  offset,
  ...(metadata === undefined ? {} : { metadata })
})

/** A place in the add-on's answers. */
export interface FoundOffset extends TopicPartition {
  /** −1001: there is none. */
  readonly offset: number
  readonly metadata: string | null
  readonly error?: KafkaError
}

/** The add-on's list of places, with errors as errors. */
export const foundOffsets = (operation: string, text: string | undefined): FoundOffset[] => {
  const list: (Omit<FoundOffset, "error"> & { error?: unknown })[] = JSON.parse(text ?? "[]")
  return list.map(({ error, ...place }) =>
    error === undefined ? place : { ...place, error: kafkaError(operation, error) }
  )
}

/** Milliseconds as the add-on takes them: whole, from 0 to about 24 days. Never without end. */
export const millis = (operation: string, timeoutMs: number): number => {
  if (!(timeoutMs >= 0 && timeoutMs <= 0x7fff_ffff))
    throw invalid(operation, `${timeoutMs} is no time-out in milliseconds`)
  return Math.ceil(timeoutMs)
}
