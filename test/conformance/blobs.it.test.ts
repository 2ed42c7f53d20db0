import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { layer as fileSystem } from "@effect/platform-node/NodeFileSystem"
import { layer as path } from "@effect/platform-node/NodePath"
import { type S3, startS3 } from "@headrace/dev"
import { type BlobError, Blobs, CHUNK_BYTES, directoryBlobs } from "@headrace/engine"
import { bucketBlobs } from "@headrace/s3"
import { runBlobs } from "@headrace/sim"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"

/** Runs what needs a store. */
type Run = <A, E>(effect: Effect.Effect<A, E, Blobs>) => Promise<A>

const scratch = mkdtempSync(join(tmpdir(), "headrace-blobs-"))
let s3: S3
beforeAll(async () => {
  s3 = await startS3()
  process.env.AWS_ACCESS_KEY_ID = s3.accessKeyId
  process.env.AWS_SECRET_ACCESS_KEY = s3.secretAccessKey
})
afterAll(async () => {
  await s3?.stop()
  rmSync(scratch, { recursive: true, force: true })
})

const bucket = (over: Partial<Pick<S3, "bucket" | "endpoint">> = {}) => {
  const { bucket, endpoint, region } = { ...s3, ...over }
  return bucketBlobs({ bucket, endpoint, region, prefix: "some/prefix/", pathStyle: true })
}
const directory = (root: string) => directoryBlobs(root).pipe(Layer.provide([fileSystem, path]))

const STORES: readonly (readonly [string, Run])[] = [
  ["directory", effect => Effect.runPromise(Effect.provide(effect, directory(scratch)))],
  ["bucket", effect => Effect.runPromise(Effect.provide(effect, bucket()))],
  ["simulated disk", runBlobs()]
]

const list = (prefix: string) => Effect.flatMap(Blobs, blobs => blobs.list(prefix))
const remove = (name: string) => Effect.flatMap(Blobs, blobs => blobs.remove(name))
const put = <E, R = never>(name: string, bytes: Stream.Stream<Uint8Array, E, R>) =>
  Effect.flatMap(Blobs, blobs => blobs.put(name, bytes))
const chunksOf = (name: string) => Effect.flatMap(Blobs, blobs => Stream.runCollect(blobs.read(name)))
const read = (name: string) => Effect.map(chunksOf(name), chunks => Buffer.concat(chunks))
const failed = <A>(effect: Effect.Effect<A, BlobError, Blobs>) => Effect.flip(effect)

/** Bytes that say where they stand. */
const content = (size: number): Buffer =>
  Buffer.from(Uint32Array.from({ length: size / 4 }, (_, i) => i * 2654435761).buffer)
const inChunks = (bytes: Uint8Array, size: number) =>
  Stream.fromIterable(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)),
    { chunkSize: 1 }
  )

describe.each([...STORES])("a checkpoint store: %s", (_, run) => {
  test("gives back what it was given, in bounded chunks", async () => {
    // Several parts of an upload, and not a multiple of anything.
    const bytes = content(20_000_004)
    await run(put("app/large/0/a", inChunks(bytes, 100_000)))
    const chunks = await run(chunksOf("app/large/0/a"))
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true)
    expect(Math.max(...chunks.map(chunk => chunk.length))).toBeLessThanOrEqual(CHUNK_BYTES)
    for (const size of [0, 4, CHUNK_BYTES]) {
      await run(put("app/large/0/b", inChunks(content(size), 64)))
      expect((await run(read("app/large/0/b"))).equals(content(size))).toBe(true)
    }
  })

  test("lists what stands under a prefix, sorted, with sizes", async () => {
    expect(await run(list("app/none/0/"))).toEqual([])
    for (const name of ["c", "a", "b"]) await run(put(`app/listed/1/${name}`, Stream.make(content(8))))
    await run(put("app/listed/10/d", Stream.make(content(12))))
    expect(await run(list("app/listed/1/"))).toEqual(
      ["a", "b", "c"].map(name => ({ name: `app/listed/1/${name}`, bytes: 8 }))
    )
    await run(remove("app/listed/1/b"))
    expect((await run(list("app/listed/1/"))).map(blob => blob.name)).toEqual(["app/listed/1/a", "app/listed/1/c"])
  })

  test("lists on all levels, by whole names, objects only; each can be removed", async () => {
    const names = ["a/0/x", "a/0/y", "a/1/x", "a-b/0/x", "a.json", "b/c/d/e"].map(name => `nested/${name}`).toSorted()
    for (const name of names.toReversed()) await run(put(name, Stream.make(content(8))))
    expect(await run(list("nested/"))).toEqual(names.map(name => ({ name, bytes: 8 })))
    expect((await run(list("nested/a/"))).map(blob => blob.name)).toEqual([
      "nested/a/0/x",
      "nested/a/0/y",
      "nested/a/1/x"
    ])
    for (const { name } of await run(list("nested/a/"))) await run(remove(name))
    expect(await run(list("nested/a/"))).toEqual([])
    expect((await run(list("nested/"))).map(blob => blob.name)).toEqual(names.filter(name => !name.includes("/a/")))
    for (const { name } of await run(list("nested/"))) await run(remove(name))
    expect(await run(list("nested/"))).toEqual([])
    // Where everything was removed there is room again.
    await run(put("nested/a/0/x", Stream.make(content(4))))
    expect(await run(list("nested/"))).toEqual([{ name: "nested/a/0/x", bytes: 4 }])
  })

  test("a write that has not ended is not listed, from further up either", async () => {
    const during = Effect.gen(function* () {
      const seen: string[] = []
      const look = Effect.map(list("unended/"), blobs => void seen.push(...blobs.map(blob => blob.name)))
      yield* put("unended/a/0/x", Stream.concat(Stream.make(content(8)), Stream.fromEffectDrain(look)))
      yield* look
      return seen
    })
    expect(await run(during)).toEqual(["unended/a/0/x"])
  })

  test("an object that is not there: reading says so, removing is fine", async () => {
    await run(remove("app/none/0/a"))
    expect((await run(failed(read("app/none/0/a")))).failure).toBe("Missing")
  })

  test.each([10_000, 20_000_000])("a write whose source fails after %d bytes leaves nothing", async size => {
    const source = Stream.concat(inChunks(content(size), 100_000), Stream.fail("the source failed"))
    expect(await run(Effect.flip(put("app/failed/0/a", source)))).toBe("the source failed")
    expect(await run(list("app/failed/0/"))).toEqual([])
    expect((await run(failed(read("app/failed/0/a")))).failure).toBe("Missing")
  })

  test("a write that is interrupted leaves nothing, even if its source goes on", async () => {
    const left = Effect.gen(function* () {
      const reached = yield* Deferred.make<void>()
      const released = yield* Deferred.make<void>()
      const wait = Effect.andThen(Deferred.succeed(reached, undefined), Deferred.await(released))
      const source = Stream.concat(Stream.make(content(8)), Stream.fromEffectDrain(wait))
      const write = yield* Effect.forkChild(put("app/interrupted/0/a", source))
      yield* Deferred.await(reached)
      yield* Fiber.interrupt(write)
      yield* Deferred.succeed(released, undefined)
      // One that went on would be through by the time that another one is.
      yield* put("app/interrupted/0/b", Stream.make(content(8)))
      return yield* list("app/interrupted/0/")
    })
    expect((await run(left)).map(blob => blob.name)).toEqual(["app/interrupted/0/b"])
  })

  test("a write whose source fails leaves what was there", async () => {
    await run(put("app/kept/0/a", Stream.make(content(8))))
    await run(Effect.flip(put("app/kept/0/a", Stream.concat(Stream.make(content(100)), Stream.fail("no")))))
    expect((await run(read("app/kept/0/a"))).equals(content(8))).toBe(true)
  })
})

test("a directory holds no half-written files after a failure", async () => {
  const source = Stream.concat(Stream.make(content(8)), Stream.fail("no"))
  await Effect.runPromise(Effect.provide(Effect.flip(put("app/half/0/a", source)), directory(scratch)))
  expect(readdirSync(join(scratch, "app/half/0"))).toEqual([])
})
