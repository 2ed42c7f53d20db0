import { afterAll, beforeAll, expect, test } from "bun:test"
import { type AddressInfo, connect, createServer } from "node:net"
import { type S3, startS3 } from "@headrace/dev"
import { type BlobError, Blobs } from "@headrace/engine"
import { Effect, Stream } from "effect"
import { bucketBlobs } from "../src/index.ts"

// What it has in common with every store is in test/conformance/blobs.it.test.ts.
let s3: S3
beforeAll(async () => {
  s3 = await startS3()
  process.env.AWS_ACCESS_KEY_ID = s3.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = s3.secretAccessKey
})
afterAll(() => s3?.stop())

const bucket = (over: Partial<Pick<S3, "bucket" | "endpoint">> = {}) => {
  const { bucket, endpoint, region } = { ...s3, ...over }
  return bucketBlobs({ bucket, endpoint, region, prefix: "some/prefix/", pathStyle: true })
}

const list = (prefix: string) => Effect.flatMap(Blobs, blobs => blobs.list(prefix))
const remove = (name: string) => Effect.flatMap(Blobs, blobs => blobs.remove(name))
const put = (name: string, bytes: Stream.Stream<Uint8Array>) => Effect.flatMap(Blobs, blobs => blobs.put(name, bytes))
const read = (name: string) => Effect.flatMap(Blobs, blobs => Stream.runCollect(blobs.read(name)))
const failed = <A>(effect: Effect.Effect<A, BlobError, Blobs>) => Effect.flip(effect)
const small = Stream.make(new Uint8Array(8))
/** An upload of several parts. */
const large = Stream.fromIterable(
  Array.from({ length: 200 }, () => new Uint8Array(100_000)),
  { chunkSize: 1 }
)

test("a bucket with more objects than a page is listed whole", async () => {
  const names = Array.from({ length: 1_003 }, (_, i) => `app/pages/0/${String(i).padStart(5, "0")}`)
  const all = Effect.forEach(names, name => put(name, small), { concurrency: 16 })
  const found = await Effect.runPromise(Effect.provide(Effect.andThen(all, list("app/pages/0/")), bucket()))
  expect(found.map(blob => blob.name)).toEqual(names)
})

test("a bucket that is not there, and keys that do not fit, say what to do", async () => {
  const none = await Effect.runPromise(Effect.provide(failed(list("a/")), bucket({ bucket: "nobodys" })))
  expect(none).toMatchObject({
    failure: "Refused",
    message: expect.stringMatching(/s3:\/\/nobodys\/.*NoSuchBucket.*checkpoint\.store/)
  })
  process.env.AWS_SECRET_ACCESS_KEY = "wrong"
  const wrong = await Effect.runPromise(Effect.provide(failed(put("a/b", small)), bucket()))
  process.env.AWS_SECRET_ACCESS_KEY = s3.secretAccessKey
  expect(wrong).toMatchObject({
    failure: "Refused",
    message: expect.stringMatching(/SignatureDoesNotMatch.*AWS_SECRET_ACCESS_KEY/)
  })
})

test("a server that takes requests and never answers is given up", async () => {
  const silent = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data: () => {} } })
  const config = { bucket: "b", prefix: "", endpoint: `http://127.0.0.1:${silent.port}`, pathStyle: true }
  for (const call of [list("a/"), read("a/b"), put("a/b", large), remove("a/b")]) {
    const error = await Effect.runPromise(Effect.provide(Effect.flip(call), bucketBlobs(config, 50)))
    expect(error).toMatchObject({ failure: "Unavailable", message: expect.stringContaining("no answer within 50 ms") })
  }
  silent.stop(true)
})

test("a bucket whose server is away is asked again until it is back", async () => {
  await Effect.runPromise(Effect.provide(put("app/away/0/a", small), bucket()))
  let refused = 0
  // For the first who ask nobody is there: a server that really starts takes as long as the machine lets it.
  const proxy = createServer(client => {
    if (refused < 3) {
      refused++
      return client.destroy()
    }
    const server = connect(Number(new URL(s3.endpoint).port), "127.0.0.1")
    for (const [one, other] of [
      [client, server],
      [server, client]
    ] as const)
      one
        .pipe(other)
        .on("error", () => one.destroy())
        .on("close", () => one.destroy())
  })
  await new Promise<void>(resolve => proxy.listen(0, "127.0.0.1", resolve))
  const endpoint = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
  const found = await Effect.runPromise(Effect.provide(list("app/away/0/"), bucket({ endpoint })))
  expect([refused, found.length]).toEqual([3, 1])
  proxy.close()
})
