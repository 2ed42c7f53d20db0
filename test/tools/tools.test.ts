import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createInterface } from "node:readline"

const tools = join(import.meta.dir, "../../tools")
let directory: string
let node: string

beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "headrace-tools-"))
  // A machine with nothing on it but Node.
  mkdirSync(join(directory, "bin"))
  node = Bun.which("node")!
  symlinkSync(node, join(directory, "bin", "node"))
})
afterAll(() => rmSync(directory, { recursive: true, force: true }))

const isAlive = (pid: number): boolean =>
  existsSync(`/proc/${pid}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))

/** What was killed may not be gone yet. */
const gone = async (pids: readonly number[]): Promise<void> => {
  while (pids.some(isAlive)) await new Promise(resolve => setTimeout(resolve, 5))
}

describe("a signal", () => {
  /** A step, as far as that it has started a process, with these first words of its script; and who else is there by those. */
  const running = async (first = "", others = "") => {
    const script = `
      const { runQuietly } = await import("${tools}/run.mjs")
      await runQuietly("sh", ["-c", "${first} sleep 600 & echo $$ $! ${others}; wait"], { note: line => console.log(line) })`
    const child = spawn(node, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] })
    const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string]
    const pids = line.split(" ").map(Number)
    expect(pids.every(isAlive)).toBe(true)
    return { child, pids }
  }

  test.each(["SIGINT", "SIGTERM"] as const)("%s during a step ends what the step has started", async signal => {
    const { child, pids } = await running()
    child.kill(signal)
    const [code] = await once(child, "exit")
    expect(code).toBe(signal === "SIGINT" ? 130 : 143)
    expect(pids.map(isAlive)).toEqual([false, false])
  })

  test.each([1, 2])("ends also what does not listen to it, as npm: sent %d times", async count => {
    const { child, pids } = await running("trap '' TERM;")
    for (let i = 0; i < count; i++) child.kill("SIGINT")
    const [code] = await once(child, "exit")
    expect(code).toBe(130)
    await gone(pids)
  })

  test.each([
    ["", 1],
    ["", 2],
    ["trap '' TERM;", 1]
  ])("ends us also if what has left the step's group keeps its output open: %s%d times", async (trap, count) => {
    const { child, pids } = await running(`exec 3>&1; left=$(setsid sh -c 'sleep 600 >&3 & echo $!'); ${trap}`, "$left")
    const left = pids.pop()!
    for (let i = 0; i < count; i++) child.kill("SIGINT")
    const [code] = await once(child, "exit")
    expect(code).toBe(130)
    await gone(pids)
    expect(isAlive(left)).toBe(true)
    process.kill(left)
  })
})

describe("what is missing on the machine", () => {
  const setUp = async (running: Record<string, string>) => {
    const script = `const { setUp } = await import("${tools}/setup.mjs"); await setUp("demo").catch(e => console.log(e.message))`
    const env = { PATH: join(directory, "bin"), HOME: directory, HEADRACE_CACHE: join(directory, "cache"), ...running }
    const child = Bun.spawn([node, "--input-type=module", "-e", script], { env, stdout: "pipe", stderr: "pipe" })
    return (await child.stdout.text()) + (await child.stderr.text())
  }
  const kafka = { HEADRACE_KAFKA: "localhost:1", HEADRACE_REGISTRY: "http://localhost:1" }

  test("is named all at once", async () => {
    const said = await setUp({})
    for (const tool of ["java: a JDK", "mvn: Apache Maven", "cc: a C compiler"]) expect(said).toContain(tool)
  })

  test("is not asked for where the broker and the registry run already", async () => {
    const said = await setUp(kafka)
    expect(said).toContain("cc: a C compiler")
    expect(said).not.toMatch(/java|mvn/)
  })

  test("is nothing where all servers run already", async () => {
    const said = await setUp({ ...kafka, HEADRACE_CLICKHOUSE: "http://localhost:1" })
    expect(said).not.toContain("Missing")
    expect(said).toMatch(/development servers.* up to date/)
  })
})

test("a step that takes long shows a sign of life in a log", async () => {
  const script = `
    const { step } = await import("${tools}/progress.mjs")
    const due = []
    globalThis.setInterval = (tick, ms) => due.push({ tick, ms })
    const run = async note => {
      note("Compiling librdkafka")
      for (const { tick } of due) tick()
    }
    await step({ name: "native", upToDate: () => false, run })`
  const child = Bun.spawn([node, "--input-type=module", "-e", script], { stdout: "pipe" })
  const lines = (await child.stdout.text()).trimEnd().split("\n")
  expect(lines).toHaveLength(3)
  expect(lines[1]).toMatch(/^… native .* s {2}Compiling librdkafka$/)
})
