/** The examples of the docstrings and the README are compiled and run as they stand. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { explain, Pipeline, toPlan } from "../src/index.ts"
import { compile, ROOT } from "./compiler.ts"
import { asserting, examples } from "./examples.ts"

const all = examples()
let directory = ""
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-examples-"))
  await symlink(join(ROOT, "node_modules"), join(directory, "node_modules"))
  for (const [name, text] of Object.entries(all)) await writeFile(join(directory, name), asserting(text))
})
afterAll(() => rm(directory, { recursive: true }))

test("there are some", () => {
  expect(Object.keys(all).length).toBeGreaterThanOrEqual(10)
})

test("they compile", async () => {
  // Examples end in bare expressions; only what is said about these files counts here.
  const output = await compile(all, "--noUnusedLocals", "false")
  expect(output.split("\n").filter(line => line.startsWith("src-") || line.startsWith("README-"))).toEqual([])
}, 60_000)

test.each(Object.keys(all))("%s runs", async name => {
  const module: { readonly default?: unknown } = await import(join(directory, name))
  if (!name.startsWith("README")) return
  if (!Pipeline.isPipeline(module.default)) throw new Error(`${name} exports no pipeline`)
  expect(explain(toPlan(module.default))).toContain("source:payments")
})
