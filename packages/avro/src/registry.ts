import { Cache, Context, Duration, Effect, Exit, Layer, Redacted, Schedule, Schema } from "effect"
import { FetchHttpClient, HttpClient, HttpClientRequest, type HttpClientResponse } from "effect/http"
import type { AvroJson } from "./schema.ts"

/**
 * Why the registry did not do what was asked. `Unreachable` and `ServerError` may pass by themselves (see `whileDown`);
 * `NotFound`, `Incompatible`, `Unauthorized` and `Invalid` need somebody.
 */
export const RegistryReason = Schema.Literals([
  "Unreachable",
  "NotFound",
  "Incompatible",
  "Unauthorized",
  "Invalid",
  "ServerError"
])
export type RegistryReason = typeof RegistryReason.Type

export class RegistryError extends Schema.TaggedError<RegistryError>()("RegistryError", {
  reason: RegistryReason,
  message: Schema.String,
  subject: Schema.optionalKey(Schema.String),
  id: Schema.optionalKey(Schema.Int)
}) {}

/** `url` is the base of Confluent's API; `auth` is `user:password`. */
export interface RegistryOptions {
  readonly url: string
  readonly auth?: Redacted.Redacted<string> | undefined
}

/** A version of a subject. */
export interface Registered {
  readonly id: number
  readonly version: number
  readonly schema: AvroJson
}

/** A schema registry that speaks Confluent's REST API. It does not retry: `Effect.retry(lookup, whileDown)` does. */
export class Registry extends Context.Service<
  Registry,
  {
    /** The schema that a record's frame names. Asked once for each id; lookups at the same time share one request. */
    readonly byId: (id: number) => Effect.Effect<AvroJson, RegistryError>
    /** Registers the schema under the subject, unless it is there, and returns its id. Asked once for each pair. */
    readonly register: (subject: string, schema: AvroJson) => Effect.Effect<number, RegistryError>
    /** The newest version of the subject, never from a cache. */
    readonly latest: (subject: string) => Effect.Effect<Registered, RegistryError>
    /** Whether the subject's rules allow the schema after its newest version. True for a subject that is new. */
    readonly compatible: (subject: string, schema: AvroJson) => Effect.Effect<boolean, RegistryError>
  }
>()("@headrace/avro/Registry") {
  /** Over whatever HttpClient there is: tests bring a fake one. */
  static readonly layerOver = (options: RegistryOptions): Layer.Layer<Registry, never, HttpClient.HttpClient> =>
    Layer.effect(Registry, make(options))

  static readonly layer = (options: RegistryOptions): Layer.Layer<Registry> =>
    Registry.layerOver(options).pipe(Layer.provide(FetchHttpClient.layer))
}

/** Retries what may pass by itself, for ever, at most every five seconds. Bound it with `times` or a timeout. */
export const whileDown = {
  schedule: Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]),
  while: (error: unknown): boolean =>
    error instanceof RegistryError && (error.reason === "Unreachable" || error.reason === "ServerError")
}

/** The subject of a topic's values. */
export const valueSubject = (topic: string): string => `${topic}-value`

const MEDIA_TYPE = "application/vnd.schemaregistry.v1+json"
const TIMEOUT = Duration.seconds(10)
const CACHED = 4096

interface About {
  readonly subject?: string
  readonly id?: number
}
type Ask = (request: HttpClientRequest.HttpClientRequest, about: About) => Effect.Effect<unknown, RegistryError>

const make = Effect.fnUntraced(function* (options: RegistryOptions) {
  const ask = asking(yield* HttpClient.HttpClient, options)
  const schemas = yield* remembering((id: number) => fetchById(ask, id))
  const ids = yield* remembering((key: string) => {
    const [subject, schema] = JSON.parse(key) as [string, AvroJson]
    return register(ask, subject, schema)
  })
  return Registry.of({
    byId: id => Cache.get(schemas, id),
    register: (subject, schema) => Cache.get(ids, JSON.stringify([subject, schema])),
    latest: subject => latest(ask, subject),
    compatible: (subject, schema) => compatible(ask, subject, schema)
  })
})

/** Keeps answers for ever, since an id never changes its meaning; errors not at all. */
const remembering = <Key, A>(lookup: (key: Key) => Effect.Effect<A, RegistryError>) =>
  Cache.makeWith<Key, A, RegistryError>(lookup, {
    capacity: CACHED,
    timeToLive: exit => (Exit.isSuccess(exit) ? Duration.infinity : Duration.zero)
  })

const SchemaAnswer = Schema.Struct({
  schema: Schema.String,
  schemaType: Schema.optional(Schema.NullOr(Schema.String)),
  references: Schema.optional(Schema.NullOr(Schema.Array(Schema.Unknown)))
})
const IdAnswer = Schema.Struct({ id: Schema.Int })
const VersionAnswer = Schema.Struct({ ...SchemaAnswer.fields, id: Schema.Int, version: Schema.Int })
const CompatibleAnswer = Schema.Struct({ is_compatible: Schema.Boolean })
const Complaint = Schema.Struct({ message: Schema.optional(Schema.String) })

const fetchById = Effect.fnUntraced(function* (ask: Ask, id: number) {
  const answer = yield* ask(HttpClientRequest.get(`/schemas/ids/${id}`), { id })
  return yield* avroIn(yield* understand(SchemaAnswer, answer, { id }), { id })
})

const register = Effect.fnUntraced(function* (ask: Ask, subject: string, schema: AvroJson) {
  const answer = yield* ask(posting(`/subjects/${encodeURIComponent(subject)}/versions`, schema), { subject })
  return (yield* understand(IdAnswer, answer, { subject })).id
})

const latest = Effect.fnUntraced(function* (ask: Ask, subject: string) {
  const path = `/subjects/${encodeURIComponent(subject)}/versions/latest`
  const answer = yield* understand(VersionAnswer, yield* ask(HttpClientRequest.get(path), { subject }), { subject })
  return { id: answer.id, version: answer.version, schema: yield* avroIn(answer, { subject }) }
})

const compatible = (ask: Ask, subject: string, schema: AvroJson): Effect.Effect<boolean, RegistryError> => {
  const path = `/compatibility/subjects/${encodeURIComponent(subject)}/versions/latest`
  return ask(posting(path, schema), { subject }).pipe(
    Effect.flatMap(answer => understand(CompatibleAnswer, answer, { subject })),
    Effect.map(answer => answer.is_compatible),
    Effect.catchIf(
      error => error.reason === "NotFound",
      () => Effect.succeed(true)
    )
  )
}

const posting = (path: string, schema: AvroJson): HttpClientRequest.HttpClientRequest =>
  HttpClientRequest.post(path).pipe(
    HttpClientRequest.bodyText(JSON.stringify({ schema: JSON.stringify(schema) }), MEDIA_TYPE)
  )

const asking = (client: HttpClient.HttpClient, { url, auth }: RegistryOptions): Ask => {
  const credentials = auth === undefined ? undefined : Redacted.value(auth)
  const base = url.replace(/\/+$/, "")
  return (request, about) =>
    request.pipe(
      HttpClientRequest.prependUrl(base),
      HttpClientRequest.accept(`${MEDIA_TYPE}, application/json`),
      credentials === undefined ? same => same : signed(credentials),
      client.execute,
      Effect.flatMap(response => answered(response, base, about)),
      Effect.timeout(TIMEOUT),
      Effect.mapError(error => (error instanceof RegistryError ? error : unreachable(base, about, error)))
    )
}

const signed = (credentials: string) => {
  const colon = credentials.indexOf(":")
  return colon === -1
    ? HttpClientRequest.basicAuth(credentials, "")
    : HttpClientRequest.basicAuth(credentials.slice(0, colon), credentials.slice(colon + 1))
}

const unreachable = (base: string, about: About, error: { readonly message: string }): RegistryError =>
  new RegistryError({
    reason: "Unreachable",
    message: `cannot reach the schema registry at ${base} for ${topicOf(about)}: ${error.message}; is it running and the URL right?`,
    ...about
  })

const topicOf = ({ subject, id }: About): string => (subject === undefined ? `schema id ${id}` : `subject ${subject}`)

const answered = Effect.fnUntraced(function* (
  response: HttpClientResponse.HttpClientResponse,
  base: string,
  about: About
) {
  const body = yield* response.text
  if (response.status >= 200 && response.status < 300) return yield* json(body, base, about)
  return yield* refused(response.status, body, base, about)
})

const json = (body: string, base: string, about: About): Effect.Effect<unknown, RegistryError> =>
  Effect.try({
    try: () => JSON.parse(body) as unknown,
    catch: () =>
      invalid(`${base} answered with something else than JSON; is it the base URL of Confluent's API?`, about)
  })

const refused = (status: number, body: string, base: string, about: About): Effect.Effect<never, RegistryError> => {
  const reason = reasonOf(status)
  const message = `${ADVICE[reason]} (${topicOf(about)} at ${base}, HTTP ${status}: ${complaint(body)})`
  return Effect.fail(new RegistryError({ reason, message, ...about }))
}

const reasonOf = (status: number): RegistryReason => {
  if (status === 401 || status === 403) return "Unauthorized"
  if (status === 404) return "NotFound"
  if (status === 409) return "Incompatible"
  return status >= 500 || status === 429 || status === 408 ? "ServerError" : "Invalid"
}

const ADVICE: Record<RegistryReason, string> = {
  Unreachable: "the schema registry cannot be reached",
  NotFound: "the schema registry does not know it: was it written against another registry?",
  Incompatible: "the subject's compatibility rule forbids this schema: give new fields a default or change the rule",
  Unauthorized: "the schema registry refuses these credentials",
  Invalid: "the schema registry did not accept the request",
  ServerError: "the schema registry failed"
}

const complaint = (body: string): string => {
  try {
    return Schema.decodeUnknownSync(Complaint)(JSON.parse(body)).message ?? body.slice(0, 200)
  } catch {
    // Not JSON: a proxy's page, of which the beginning tells most.
    return body.slice(0, 200)
  }
}

const invalid = (message: string, about: About): RegistryError =>
  new RegistryError({ reason: "Invalid", message, ...about })

const understand = <S extends Schema.Top & { readonly DecodingServices: never }>(
  schema: S,
  answer: unknown,
  about: About
): Effect.Effect<S["Type"], RegistryError> =>
  Schema.decodeUnknownEffect(schema)(answer).pipe(
    Effect.mapError(error =>
      invalid(`the schema registry's answer for ${topicOf(about)} is not Confluent's: ${error.message}`, about)
    )
  )

const avroIn = (answer: typeof SchemaAnswer.Type, about: About): Effect.Effect<AvroJson, RegistryError> => {
  const type = answer.schemaType ?? "AVRO"
  if (type !== "AVRO") return Effect.fail(invalid(`${topicOf(about)} is ${type}; Headrace reads Avro`, about))
  if ((answer.references ?? []).length > 0) {
    return Effect.fail(
      invalid(`${topicOf(about)} refers to other schemas; register it with all its types in one`, about)
    )
  }
  return Effect.try({
    try: () => parseSchema(answer.schema),
    catch: () => invalid(`the registry's schema for ${topicOf(about)} is not JSON`, about)
  })
}

/** Some registries hand out `string` without the quotes. */
const parseSchema = (text: string): AvroJson => (/^[a-z]+$/.test(text) ? text : (JSON.parse(text) as AvroJson))
