/** The examples of the docstrings and the README are compiled and run as they stand. */
import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { keyBy, keyed, Process } from "@headrace/core"
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
})

test.each(Object.keys(all))("%s runs", async name => {
  const module: { readonly default?: unknown } = await import(join(directory, name))
  if (!name.startsWith("README")) return
  if (!Pipeline.isPipeline(module.default)) throw new Error(`${name} exports no pipeline`)
  expect(explain(toPlan(module.default))).toContain("topic payments")
})

test("the README's sessions end a minute after their last payment", async () => {
  const name = Object.keys(all).find(one => all[one]!.includes('.process("sessions"'))
  const module: { readonly default: Pipeline.Pipeline } = await import(join(directory, name!))
  const node = toPlan(module.default).nodes.find(one => one.kind === "process")!
  const emitted: unknown[] = []
  const key = keyed()
  const output = { next: (record: object) => emitted.push(record), watermark: () => {} }
  const process = new Process({ ...node, clock: { now: 0 }, key, output })
  const sessions = keyBy((p: { account: string }) => p.account, key, process)
  const pay = (account: string, merchant: string, cents: number, at: number) =>
    sessions.next({ account, merchant, cents, at }, at)
  pay("a", "m2", 100, 0)
  pay("b", "m1", 7, 20_000)
  pay("a", "m1", 50, 30_000)
  sessions.watermark(89_999)
  expect(emitted).toEqual([{ account: "b", cents: 7, merchants: ["m1"] }])
  sessions.watermark(90_000)
  pay("a", "m3", 1, 100_000)
  sessions.watermark(200_000)
  expect(emitted.slice(1)).toEqual([
    { account: "a", cents: 150, merchants: ["m1", "m2"] },
    { account: "a", cents: 1, merchants: ["m3"] }
  ])
})
