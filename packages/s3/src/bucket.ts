import { messageOf } from "@headrace/core"
import { BlobError, type BlobFailure, Blobs, type BucketConfig, CHUNK_BYTES } from "@headrace/engine"
import { Clock, Effect, Layer, Schedule, Stream } from "effect"

/** S3 takes at most 10,000 parts: objects up to 80 GB, with a part in memory. */
const UPLOAD = { partSize: 8 << 20, queueSize: 1, retry: 3 }
/** Ranges of one object that are asked for at a time: a request's way there and back is long, its bytes are few. */
const RANGES_AT_ONCE = 4
/** A request, or a part, that takes longer will never be answered. */
const PATIENCE_MS = 30_000
/** So many times that may pass until whoever asked has to decide. */
const PATIENCES = 2
const LIST_AT_ONCE = 1_000
/** Within about six seconds, of a server that refuses at once. */
const AGAIN = { schedule: Schedule.jittered(Schedule.exponential("100 millis")), times: 6 }

/**
 * Objects of a bucket, by Bun's own client. Credentials come from the usual variables of this process:
 * AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, where there is one, AWS_SESSION_TOKEN.
 * `patienceMs`: how long a request may take.
 */
export const bucketBlobs = (config: BucketConfig, patienceMs = PATIENCE_MS): Layer.Layer<Blobs> =>
  Layer.sync(Blobs, () => {
    const bucket = new Bucket(config, patienceMs)
    return Blobs.of({
      list: prefix => bucket.list(prefix),
      read: name => bucket.read(name),
      put: (name, bytes) => bucket.put(name, bytes),
      remove: name => Effect.asVoid(bucket.ask("remove", name, client => client.delete(bucket.key(name))))
    })
  })

class Bucket {
  private readonly config: BucketConfig
  private readonly patienceMs: number
  private readonly client: InstanceType<typeof Bun.S3Client>

  constructor(config: BucketConfig, patienceMs: number) {
    this.config = config
    this.patienceMs = patienceMs
    const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env
    this.client = new Bun.S3Client({
      bucket: config.bucket,
      virtualHostedStyle: !config.pathStyle,
      ...(config.region === undefined ? {} : { region: config.region }),
      ...(config.endpoint === undefined ? {} : { endpoint: config.endpoint }),
      ...(AWS_ACCESS_KEY_ID === undefined ? {} : { accessKeyId: AWS_ACCESS_KEY_ID }),
      ...(AWS_SECRET_ACCESS_KEY === undefined ? {} : { secretAccessKey: AWS_SECRET_ACCESS_KEY }),
      ...(AWS_SESSION_TOKEN === undefined ? {} : { sessionToken: AWS_SESSION_TOKEN })
    })
  }

  key(name: string): string {
    return this.config.prefix + name
  }

  /** A request that may be made again; it is, while the server is away. */
  ask<A>(
    verb: string,
    name: string,
    call: (client: InstanceType<typeof Bun.S3Client>) => Promise<A>
  ): Effect.Effect<A, BlobError> {
    const within = (patiences: number) =>
      Effect.timeoutOrElse<never, BlobError, never>({
        duration: this.patienceMs * patiences,
        orElse: () => Effect.fail(this.unanswered(verb, name))
      })
    return Effect.tryPromise({ try: () => call(this.client), catch: cause => this.failed(verb, name, cause) }).pipe(
      within(1),
      Effect.retry({ ...AGAIN, while: error => error.failure === "Unavailable" }),
      within(PATIENCES)
    )
  }

  list(prefix: string) {
    const { length } = this.config.prefix
    return Effect.gen({ self: this }, function* () {
      const blobs: { name: string; bytes: number }[] = []
      for (let after = ""; ; ) {
        const from = { prefix: this.key(prefix), maxKeys: LIST_AT_ONCE, ...(after === "" ? {} : { startAfter: after }) }
        const page = yield* this.ask("list", prefix, client => client.list(from))
        const found = page.contents ?? []
        for (const { key, size } of found) blobs.push({ name: key.slice(length), bytes: size ?? 0 })
        after = found.at(-1)?.key ?? ""
        if (!page.isTruncated || after === "") return blobs
      }
    })
  }

  /** In ranges, so that one that fails in the middle is only that one. */
  read(name: string): Stream.Stream<Uint8Array, BlobError> {
    const range = (start: number, end: number) =>
      Effect.flatMap(
        this.ask("read", name, client => client.file(this.key(name)).slice(start, end).bytes()),
        bytes => (bytes.length === end - start ? Effect.succeed(bytes) : Effect.fail(this.short(name)))
      )
    return Stream.unwrap(
      Effect.map(
        this.ask("read", name, client => client.stat(this.key(name))),
        ({ size }) =>
          Stream.range(0, Math.ceil(size / CHUNK_BYTES) - 1).pipe(
            Stream.mapEffect(i => range(i * CHUNK_BYTES, Math.min(size, (i + 1) * CHUNK_BYTES)), {
              concurrency: RANGES_AT_ONCE
            })
          )
      )
    )
  }

  /**
   * One request for what is small, else a multipart upload, which the client completes at the end of the stream and
   * aborts where it fails. (Its writer would complete that as well, and buffer without bound.)
   */
  put<E, R>(name: string, bytes: Stream.Stream<Uint8Array, E, R>): Effect.Effect<void, BlobError | E, R> {
    return Effect.gen({ self: this }, function* () {
      const clock = yield* Clock.Clock
      let failure: E | undefined
      /** Nobody waits for it any more: what is pulled then must not look like its end. */
      let abandoned = false
      /** Since when the client has been busy with what it pulled. */
      let since = clock.currentTimeMillisUnsafe()
      const pulls = (to: () => number) =>
        Effect.sync(() => {
          since = to()
        })
      const pulled = pulls(() => clock.currentTimeMillisUnsafe())
      const pulling = pulls(() => Number.POSITIVE_INFINITY)
      const timed = Stream.transformPull(bytes, pull =>
        Effect.succeed(
          Effect.flatMap(Effect.andThen(pulling, Effect.exit(pull)), exit =>
            abandoned ? Effect.die(new Error("The write was given up")) : Effect.andThen(pulled, exit)
          )
        )
      )
      const watched = Stream.tapError(timed, error =>
        Effect.sync(() => {
          failure = error
        })
      )
      const body = yield* Stream.toReadableStreamEffect(watched, {})
      const write = Effect.tryPromise({
        try: () => this.client.write(this.key(name), new Response(body), UPLOAD),
        catch: cause => failure ?? this.failed("write", name, cause)
      })
      const stuck = Effect.suspend(() =>
        clock.currentTimeMillisUnsafe() - since > this.patienceMs
          ? Effect.fail(this.unanswered("write", name))
          : Effect.void
      ).pipe(Effect.andThen(Effect.sleep(this.patienceMs / 10)), Effect.forever)
      const abandon = Effect.sync(() => {
        abandoned = true
      })
      yield* Effect.ensuring(Effect.raceFirst(write, stuck), abandon)
    })
  }

  private failed(verb: string, name: string, cause: unknown): BlobError {
    const code = codeOf(cause)
    const message = messageOf(cause)
    return this.error(verb, name, failureOf(code), `${code === "" ? "" : `${code}: `}${message}`, cause)
  }

  private unanswered(verb: string, name: string): BlobError {
    return this.error(verb, name, "Unavailable", `no answer within ${this.patienceMs} ms`, undefined)
  }

  private short(name: string): BlobError {
    return this.error("read", name, "Unavailable", "fewer bytes came than were asked for", undefined)
  }

  private error(verb: string, name: string, failure: BlobFailure, what: string, cause: unknown): BlobError {
    const { bucket, endpoint } = this.config
    const where = `s3://${bucket}/${this.key(name)}${endpoint === undefined ? "" : ` at ${endpoint}`}`
    return new BlobError({ failure, message: `Cannot ${verb} ${where}: ${what}. ${ADVICE[failure]}`, cause })
  }
}

const ADVICE: Readonly<Record<BlobFailure, string>> = {
  Missing: "It was removed meanwhile.",
  Unavailable: "It is tried again; check that the store is up and can be reached.",
  Refused:
    "Check checkpoint.store, checkpoint.s3 and the variables AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (AWS_SESSION_TOKEN), " +
    "and that they may list, read, write and delete there."
}

const REFUSED = new Set([
  "AccessDenied",
  "AuthorizationHeaderMalformed",
  "ExpiredToken",
  "InvalidAccessKeyId",
  "InvalidBucketName",
  "NoSuchBucket",
  "PermanentRedirect",
  "SignatureDoesNotMatch",
  // Bun's own, before anything is sent.
  "ERR_S3_INVALID_ENDPOINT",
  "ERR_S3_MISSING_CREDENTIALS"
])

const failureOf = (code: string): BlobFailure => {
  if (code === "NoSuchKey") return "Missing"
  return REFUSED.has(code) ? "Refused" : "Unavailable"
}

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
