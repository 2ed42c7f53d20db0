import { afterAll, expect, test } from "bun:test"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { loading, threads } from "../src/threads.ts"

const THREADS = 2

/** A module that notes when a thread has it, a while after it began with it. */
const moduleIn = (directory: string) => {
  const notes = join(directory, "notes")
  const module = join(directory, "module.ts")
  writeFileSync(
    module,
    `import { appendFileSync } from "node:fs"
     import { threadId } from "node:worker_threads"
     await new Promise(resolve => setTimeout(resolve, 100))
     appendFileSync(${JSON.stringify(notes)}, threadId + "\\n")`
  )
  return { module, loaded: () => (existsSync(notes) ? readFileSync(notes, "utf8").trim().split("\n") : []) }
}

const places = mkdtempSync(join(tmpdir(), "headrace-threads-"))
const scratch = () => mkdtempSync(join(places, "one-"))
afterAll(() => rmSync(places, { recursive: true }))

test("each thread loads what a lane runs, before there is one", async () => {
  const { module, loaded } = moduleIn(scratch())
  const seen = Effect.gen(function* () {
    yield* yield* loading(yield* threads(THREADS), THREADS, module)
    return loaded()
  })
  const before = await Effect.runPromise(Effect.scoped(seen))
  expect(new Set(before).size).toBe(THREADS)
})

test("none is ended in the middle of it", async () => {
  const { module, loaded } = moduleIn(scratch())
  await Effect.runPromise(Effect.scoped(Effect.flatMap(threads(THREADS), pool => loading(pool, THREADS, module))))
  expect(loaded()).toHaveLength(THREADS)
})

test("a module that cannot be loaded is for the lanes to tell", async () => {
  const module = join(scratch(), "missing.ts")
  const ended = Effect.flatMap(threads(1), pool => Effect.flatten(loading(pool, 1, module)))
  expect(await Effect.runPromise(Effect.scoped(ended))).toBeUndefined()
})
