import { afterAll, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { MessageChannel } from "node:worker_threads"
import type { LaneQuestion } from "@headrace/engine"
import { Effect } from "effect"
import { Pattern } from "headrace"
import type { Handover } from "../src/handover.ts"
import type { Listed } from "../src/pattern/control.ts"
import { Questions } from "../src/pattern/questions.ts"
import { requestOpen } from "../src/pattern/request.ts"
import { showOpen, showPatterns } from "../src/pattern/show.ts"
import type { Savepoints } from "../src/savepoint/ending.ts"
import { serve } from "../src/server.ts"
import { Status } from "../src/status.ts"
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
  "misspelt.json": JSON.stringify({
    pattern: [{ name: "small", where: { not: { field: "cent", op: ">", value: 1 } } }]
  }),
  "events.jsonl": events.map(event => JSON.stringify(event)).join("\n"),
  "ignored.jsonl": [1, 500, 2, 9000]
    .map((cents, i) => JSON.stringify({ account: "a", cents, at: 1000 * (i + 1) }))
    .join("\n"),
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

test("what a match has ignored is said", async () => {
  expect((await onEvents("ignored.jsonl")).out).toBe(
    "match of a at 4000: small 1000 3000 (1 ignored before), large 4000\n"
  )
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
      ],
      path: [
        { step: "small", how: "begin", at: 1000, afterMs: 0, ignored: 0 },
        { step: "small", how: "skip", at: 3000, afterMs: 2000, ignored: 0 },
        { step: "large", how: "followedBy", at: 4000, afterMs: 1000, ignored: 0 }
      ]
    }
  ])
  expect(err).toContain("1 late")
})

test("a field that no event has is said: who wrote it may have misspelt it", async () => {
  const { code, err } = await headrace(
    ...["test", "misspelt.json", "--events", "events.jsonl", "--key", "account", "--time", "at"]
  )
  expect(code).toBe(0)
  expect(err).toContain("no event has the field cent: the pattern asks about it")
  expect((await onEvents("events.jsonl")).err).not.toContain("no event has")
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

/** A lane as the main thread sees it: a port that answers questions. */
const lane = (found: readonly object[]) => {
  const { port1, port2 } = new MessageChannel()
  port2.on("message", ({ key, answer }: LaneQuestion) => answer.postMessage(key === "a" ? found : []))
  return { port: port1, close: () => port1.close() }
}

test("a running job says what is under way in a key: all of its lanes are asked", async () => {
  const open = {
    ...{ node: "fraud", topic: "t", partition: 1, key: "a", pattern: "trial", waitsFor: ["large"], until: 61_000 },
    path: [{ step: "small", at: 1000, ignored: 0, event: { account: "a", cents: 1n } }],
    ignored: 2
  }
  const questions = new Questions()
  const lanes = [lane([]), lane([open])]
  for (const [i, { port }] of lanes.entries()) questions.open(`lane ${i}`, port)
  await Effect.runPromise(
    Effect.scoped(
      Effect.gen(function* () {
        const status = new Status("fraud", [])
        const port = yield* serve(status, {} as Savepoints, {} as Handover, questions, "127.0.0.1", 0)
        const url = `http://127.0.0.1:${port}`
        const found = yield* requestOpen(url, "a")
        expect(found).toMatchObject([{ node: "fraud", path: [{ step: "small", event: { cents: "1" } }] }])
        expect(showOpen("a", found)).toBe(
          'trial (fraud) waits for large, until 61000\n  small at 1000: {"account":"a","cents":"1"}\n  2 events ignored'
        )
        expect(showOpen("b", yield* requestOpen(url, "b"))).toBe("nothing is under way in the key b in this process")
      })
    )
  )
  for (const { close } of lanes) close()
})

test("patterns are listed with what became of the last word on each", () => {
  const reply = { id: "b", version: 2, request: "r", accepted: true, reason: "", from: 0 }
  const row = (id: string, status: string, of: typeof reply | undefined) => ({
    id,
    version: 2,
    status,
    spec: "",
    reply: of
  })
  expect(
    showPatterns([
      row("a", "active", undefined),
      row("b", "removed", reply),
      row("c", "active", { ...reply, accepted: false, reason: "no" }),
      row("d", "paused", { ...reply, from: Number.NaN })
    ] as readonly Listed[])
  ).toBe(
    [
      "a  version 2  active   no reply yet",
      "b  version 2  removed  in force from 1970-01-01T00:00:00.000Z",
      "c  version 2  active   refused: no",
      "d  version 2  paused   in force"
    ].join("\n")
  )
})
