import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { scratch } from "./scratch.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

/** Every process that carries this mark in its environment: what the demo started, however deep. */
const marked = (mark: string): number[] =>
  readdirSync("/proc").flatMap(entry => {
    if (!/^\d+$/.test(entry)) return []
    try {
      const alive = readFileSync(`/proc/${entry}/environ`, "latin1").includes(`HEADRACE_TEST_MARK=${mark}`)
      return alive ? [Number(entry)] : []
    } catch {
      // It ended meanwhile.
      return []
    }
  })

const until = async (holds: () => boolean, withinMs: number): Promise<boolean> => {
  const deadline = performance.now() + withinMs
  while (!holds()) {
    if (performance.now() > deadline) return false
    await Bun.sleep(50)
  }
  return true
}

const demo = (mark: string, directory: string, args: readonly string[]) => {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HEADRACE_KAFKA")))
  return Bun.spawn([process.execPath, main, "demo", ...args], {
    cwd: directory,
    env: { ...env, HEADRACE_TEST_MARK: mark },
    stdout: "pipe",
    stderr: "pipe"
  })
}

test("a whole run audits everything, writes the report and leaves no process behind", async () => {
  using files = scratch()
  const mark = crypto.randomUUID()
  const child = demo(mark, files.directory, [
    "--rate",
    "2000",
    "--for",
    "5s",
    "--report",
    "report.json",
    "--lanes",
    "2"
  ])
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  expect(`${out}${err}`).toContain("exactly once")
  expect(code).toBe(0)
  const report = JSON.parse(readFileSync(files.file("report.json"), "utf8"))
  expect(report).toMatchObject({
    sent: 10_000,
    processed: 10_000,
    lost: 0,
    duplicated: 0,
    lanes: 2,
    exactly_once: true,
    clickhouse: { rows: expect.any(Number), lost: 0, duplicated: 0 }
  })
  for (const figure of [report.rss_mb, report.startup_ms, report.commit_ms.p50, report.latency_ms.p99]) {
    expect(figure).toBeGreaterThan(0)
  }
  expect(await until(() => marked(mark).length === 0, 5000)).toBe(true)
}, 180_000)

describe("Ctrl-C", () => {
  // One moment in each part of its life: the servers start, the pipeline starts, the load runs.
  const moments = [100, 1000, 3000, 6000, 10_000].map(from => from + Math.floor(Math.random() * from))
  for (const moment of moments) {
    test(`after ${moment} ms ends it, and leaves no process behind`, async () => {
      using files = scratch()
      const mark = crypto.randomUUID()
      const child = demo(mark, files.directory, ["--rate", "500", "--for", "60s"])
      const ended = Promise.all([child.stdout.text(), child.stderr.text()])
      await Bun.sleep(moment)
      child.kill("SIGINT")
      expect(await child.exited).toBe(130)
      await ended
      expect(await until(() => marked(mark).length === 0, 10_000)).toBe(true)
    }, 60_000)
  }

  test("kill -9 leaves no process behind either", async () => {
    using files = scratch()
    const mark = crypto.randomUUID()
    const child = demo(mark, files.directory, ["--rate", "500", "--for", "60s"])
    await Bun.sleep(8000)
    expect(marked(mark).length).toBeGreaterThan(1)
    child.kill("SIGKILL")
    await child.exited
    expect(await until(() => marked(mark).length === 0, 20_000)).toBe(true)
  }, 60_000)
})
