/** The examples of the docstrings and the README are compiled and run as they stand. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { compile, ROOT } from "../../pipeline/test/compiler.ts"
import { asserting, blocks, examples } from "../../pipeline/test/examples.ts"

const all = examples(join(import.meta.dirname, ".."))
let directory = ""
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-test-examples-"))
  await symlink(join(ROOT, "node_modules"), join(directory, "node_modules"))
  for (const [name, text] of Object.entries(all)) await writeFile(join(directory, name), asserting(text))
})
afterAll(() => rm(directory, { recursive: true }))

test("they compile", async () => {
  expect(Object.keys(all)).toEqual(["src-driver-ts-0.ts", "README-md-0.ts"])
  const output = await compile(all, "--noUnusedLocals", "false")
  expect(output.split("\n").filter(line => line.startsWith("src-") || line.startsWith("README-"))).toEqual([])
})

test("the docstring's runs", () => import(join(directory, "src-driver-ts-0.ts")))

/** Runs a file of the directory in a test runner of its own. */
const passes = async (name: string): Promise<void> => {
  const runner = Bun.spawn([process.execPath, "test", "--timeout=120000", name], {
    cwd: directory,
    stdout: "pipe",
    stderr: "pipe"
  })
  const said = await new Response(runner.stderr).text()
  expect(said).toContain("1 pass")
  expect(await runner.exited).toBe(0)
}

test("the README's passes", async () => {
  await writeFile(join(directory, "readme.test.ts"), all["README-md-0.ts"]!)
  await passes("readme.test.ts")
})

test("that of the project's README passes, for the pipeline before it", async () => {
  const [pipeline, itsTest] = blocks(join(ROOT, "README.md"))
  await writeFile(join(directory, "spend.ts"), pipeline!)
  await writeFile(join(directory, "spend.test.ts"), itsTest!)
  await passes("spend.test.ts")
})
