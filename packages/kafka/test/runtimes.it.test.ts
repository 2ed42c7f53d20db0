import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startKafka } from "@headrace/dev"

let bootstrap = ""
let stop = async () => {}
beforeAll(async () => {
  const kafka = await startKafka()
  bootstrap = kafka.bootstrap
  stop = () => kafka.stop()
})
afterAll(() => stop())

const root = join(import.meta.dir, "../../..")
const bin = (name: string) => join(root, "node_modules/.bin", name)
const spine = join(import.meta.dir, "fixtures/spine.ts")

const run = async (command: readonly string[], cwd = root) => {
  const child = Bun.spawn([...command], { cwd, stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited
  ])
  return { out, err, code }
}

const expectAllThreads = async (command: readonly string[], cwd?: string) => {
  const { out, err, code } = await run([...command, bootstrap], cwd)
  expect({ code, err: code === 0 ? "" : err }).toEqual({ code: 0, err: "" })
  const results = JSON.parse(out)
  const sum = (2000 * 1999) / 2
  expect(results).toEqual(
    ["main", "one", "two", "three", "after"].map(thread => ({ thread, read: 2000, sum, committed: 2000 }))
  )
}

test("Bun runs the add-on on the main thread and in three workers", () => expectAllThreads([bin("bun"), spine]))
test("Node runs the add-on on the main thread and in three workers", () => expectAllThreads([bin("node"), spine]))
test("Deno runs the add-on on the main thread and in three workers", () =>
  expectAllThreads([bin("deno"), "run", "--allow-all", "--no-lock", spine]))

test("a compiled binary carries the add-on with it", async () => {
  const directory = mkdtempSync(join(tmpdir(), "headrace-compiled-"))
  try {
    const binary = join(directory, "spine")
    // As app/build.ts does: the sketches' library asks for it only where it would write its own bytes.
    const external = ["--external", "protobufjs/minimal"]
    const built = await run([bin("bun"), "build", "--compile", ...external, spine, "--outfile", binary])
    expect({ code: built.code, err: built.code === 0 ? "" : built.err }).toEqual({ code: 0, err: "" })
    await expectAllThreads([binary], directory)
  } finally {
    rmSync(directory, { recursive: true })
  }
})
