import { afterAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { Pattern } from "headrace"
import { scratch } from "./scratch.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const published = fileURLToPath(new URL("../../../docs/pattern.schema.json", import.meta.url))

const small = { name: "small", where: { field: "cents", op: "<", value: 100 }, times: { timesOrMore: 2 } }
const large = (op: string) => ({ name: "large", contiguity: "followedBy", where: { field: "cents", op, value: 5000 } })
const trial = (op: string) => ({
  pattern: [small, large(op)],
  within: { ms: 60_000, type: "first-and-last" },
  skip: { type: "past-last" }
})
const events = [
  { account: "a", cents: 1, at: 1000 },
  { account: "a", cents: 2, at: 3000 },
  { account: "a", cents: 3, at: 2000 },
  { account: "b", cents: 9000, at: 3500 },
  { account: "a", cents: 9000, at: 4000 },
  { account: "b", cents: 4, at: 90_000 },
  { account: "b", cents: 4, at: 91_000 }
]
const files = scratch({
  "trial.json": JSON.stringify(trial(">=")),
  "bad.json": JSON.stringify(trial("~")),
  "no.json": "{",
  "events.jsonl": events.map(event => JSON.stringify(event)).join("\n"),
  "wrong.jsonl": '{ "account": "a", "at": 1 }\n{ "account": "a" }\n'
})
afterAll(() => files[Symbol.dispose]())

const headrace = async (...args: readonly string[]) => {
  const env = { PATH: process.env.PATH ?? "", HOME: files.directory }
  const child = Bun.spawn([process.execPath, main, "pattern", ...args], {
    cwd: files.directory,
    env,
    stdout: "pipe",
    stderr: "pipe"
  })
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return { code, out, err }
}
const onEvents = (file: string, ...more: readonly string[]) =>
  headrace("test", "trial.json", "--events", file, "--key", "account", "--time", "at", ...more)

test("a pattern is tried on recorded events, in the order of their times", async () => {
  expect(await onEvents("events.jsonl", "--out-of-orderness", "1 second")).toMatchObject({
    code: 0,
    out: [
      "match of a at 4000: small 1000 2000 3000, large 4000",
      "timed out of b at 150000: small 90000 91000",
      "timed out of b at 151000: small 91000",
      ""
    ].join("\n"),
    err: expect.stringContaining("7 events: 1 matches, 2 timed out, 0 late")
  })
})

test("what came too late is said, and each output is a line of JSON", async () => {
  const { out, err } = await onEvents("events.jsonl", "--json")
  const found = out
    .trim()
    .split("\n")
    .map(line => JSON.parse(line))
  expect(found.slice(0, 2)).toEqual([
    { kind: "late", key: "a", at: 2000, steps: [{ step: "", events: [events[2]] }] },
    {
      kind: "match",
      key: "a",
      at: 4000,
      steps: [
        { step: "small", events: [events[0], events[1]] },
        { step: "large", events: [events[4]] }
      ]
    }
  ])
  expect(err).toContain("1 late")
})

test("what is wrong is named: the step and the field, or the line", async () => {
  expect(await headrace("draw", "bad.json")).toMatchObject({
    code: 1,
    err: expect.stringContaining('bad.json: step "large", where.op: Expected "==" | "!="')
  })
  expect(await headrace("draw", "no.json")).toMatchObject({ code: 1, err: expect.stringContaining("is no JSON") })
  expect(await onEvents("wrong.jsonl")).toMatchObject({
    code: 1,
    err: expect.stringContaining("wrong.jsonl: line 2 has no at in ms to be its time")
  })
  expect(await headrace("explain", "--key", "a", "--url", "http://127.0.0.1:1")).toMatchObject({
    code: 1,
    err: expect.stringContaining("No job answers at http://127.0.0.1:1")
  })
})

test("a pattern is drawn", async () => {
  expect((await headrace("draw", "trial.json")).out).toBe(
    ["flowchart LR", '  s0["small{2,}"]', '  s1["large"]', "  s0 --> s1", '  within(["within 60000 ms"])', ""].join(
      "\n"
    )
  )
})

test("the schema that is printed is the one in docs/", async () => {
  const text = readFileSync(published, "utf8")
  expect(JSON.parse((await headrace("schema")).out)).toEqual(JSON.parse(text))
  expect(Pattern.jsonSchema()).toEqual(JSON.parse(text))
})
