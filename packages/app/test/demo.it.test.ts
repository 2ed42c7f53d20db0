import { describe, expect, test } from "bun:test"
import { spawn } from "node:child_process"
import { mkdirSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { scratch } from "./scratch.ts"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))
const root = fileURLToPath(new URL("../../..", import.meta.url))

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

/** What is waited for comes far sooner; so long only where it does not come at all. */
const PATIENCE_MS = 120_000

/** What a process was started with; nothing for one that has ended. */
const commandOf = (pid: number): readonly string[] => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0")
  } catch {
    return []
  }
}

const until = async (holds: () => boolean): Promise<boolean> => {
  const deadline = performance.now() + PATIENCE_MS
  while (!holds()) {
    if (performance.now() > deadline) return false
    await Bun.sleep(50)
  }
  return true
}

/** What the demo leaves in the directory for temporary files, which is its own here. */
const temporary = (directory: string): string[] => readdirSync(join(directory, "tmp"))

const environment = (mark: string, directory: string): Record<string, string | undefined> => {
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("HEADRACE_KAFKA")))
  mkdirSync(join(directory, "tmp"), { recursive: true })
  // npm would have Node keep compiled code there, which is nothing of ours.
  return { ...env, HEADRACE_TEST_MARK: mark, TMPDIR: join(directory, "tmp"), NODE_DISABLE_COMPILE_CACHE: "1" }
}

const demo = (mark: string, directory: string, args: readonly string[]) =>
  Bun.spawn([process.execPath, main, "demo", ...args], {
    cwd: directory,
    env: environment(mark, directory),
    stdout: "pipe",
    stderr: "pipe"
  })

/** Processes and files that are left: none, or those that are still there when time runs out. */
const leftovers = async (mark: string, directory: string): Promise<readonly (number | string)[]> => {
  const left = () => [...marked(mark), ...temporary(directory)]
  await until(() => left().length === 0)
  return left()
}

test("a whole run audits everything, writes the report and leaves nothing behind", async () => {
  using files = scratch()
  const mark = crypto.randomUUID()
  const load = ["--rate", "2000", "--for", "5s", "--threads", "2", "--burst", "2x/1s/2s"]
  const child = demo(mark, files.directory, [...load, "--report", "report.json", "--lanes", "2"])
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  expect(`${out}${err}`).toContain("exactly once")
  expect(`${out}${err}`).not.toContain("\x1b")
  expect(code).toBe(0)
  const { details, ...report } = JSON.parse(readFileSync(files.file("report.json"), "utf8"))
  // In JSON a number is finite: anything else became null.
  const number = expect.any(Number)
  expect(report).toEqual({
    sent: 10_000,
    processed: 10_000,
    lost: 0,
    duplicated: 0,
    throughput_eps: number,
    latency_ms: { p50: number, p90: number, p99: number, p999: number, max: number },
    commit_ms: { p50: number, p99: number },
    rss_mb: number,
    startup_ms: number,
    lanes: 2,
    exactly_once: true,
    clickhouse: { rows: 10_000, lost: 0, duplicated: 0 },
    patterns: { found: number, missed: 0, false: 0 }
  })
  for (const figure of [
    report.rss_mb,
    report.startup_ms,
    report.commit_ms.p50,
    report.latency_ms.p99,
    report.patterns.found
  ]) {
    expect(figure).toBeGreaterThan(0)
  }
  expect(details).toMatchObject({ warmup_ms: 5000, generator: { threads: 2 }, problems: [] })
  expect(await leftovers(mark, files.directory)).toEqual([])
})

test("--keep leaves everything up, and the command that it prints takes all of it away", async () => {
  using files = scratch()
  const mark = crypto.randomUUID()
  const child = demo(mark, files.directory, ["--rate", "500", "--for", "2s", "--keep"])
  const [out, , code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  expect(code).toBe(0)
  const at = (name: string) => new RegExp(`${name} +(\\S+)  pid \\d+`).exec(out)?.[1]
  expect((await fetch(`${at("pipeline")}/health`)).status).toBe(200)
  expect((await fetch(`${at("registry")}/subjects`)).status).toBe(200)
  expect(await (await fetch(`${at("ClickHouse")}/?query=SELECT%20count()>0%20FROM%20scored`)).text()).toBe("1\n")
  const command = /^Stop them: (kill .*)$/m.exec(out)![1]!
  expect(await Bun.spawn(["sh", "-c", command]).exited).toBe(0)
  expect(await leftovers(mark, files.directory)).toEqual([])
})

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
      expect(await leftovers(mark, files.directory)).toEqual([])
    })
  }

  test("kill -9 leaves no process behind either", async () => {
    using files = scratch()
    const mark = crypto.randomUUID()
    const child = demo(mark, files.directory, ["--rate", "500", "--for", "60s"])
    // The pipeline comes last.
    expect(await until(() => marked(mark).some(pid => commandOf(pid).includes("--stop-with-stdin")))).toBe(true)
    child.kill("SIGKILL")
    await child.exited
    expect(await leftovers(mark, files.directory)).toEqual([])
  })
})

/** The broker's process itself, not the one that guards it. */
const brokerOf = (mark: string): number =>
  marked(mark).find(pid => {
    const [program, ...args] = commandOf(pid)
    return program?.endsWith("/java") && args.includes("kafka.Kafka")
  })!

/** `npm run demo` as a terminal runs it: everything in one process group, which is what Ctrl-C reaches. */
const npmDemo = async (mark: string, directory: string, ...args: readonly string[]) => {
  const child = spawn("npm", ["run", "demo", "--", "--rate", "500", "--for", "60s", ...args], {
    cwd: root,
    env: environment(mark, directory),
    stdio: ["ignore", "pipe", "pipe"],
    detached: true
  })
  let log = ""
  for (const stream of [child.stdout, child.stderr]) stream.on("data", chunk => void (log += String(chunk)))
  const exited = new Promise<number | null>(resolve => child.once("close", resolve))
  const says = async (text: string) => expect(await until(() => log.includes(text))).toBe(true)
  await says("warming up")
  return { pid: child.pid!, exited, says, log: () => log }
}

describe("npm run demo", () => {
  const STOPPED = ["payments pipeline, 1 lanes", "ClickHouse", "schema registry", "Kafka"].map(
    part => `${part} is stopped`
  )
  const ways: [name: string, send: (pid: number) => void][] = [
    ["Ctrl-C, which reaches every process of the terminal", pid => process.kill(-pid, "SIGINT")],
    ["kill -INT, which reaches npm alone", pid => process.kill(pid, "SIGINT")],
    ["kill", pid => process.kill(pid, "SIGTERM")]
  ]
  test.each(ways)("%s ends it in order", async (_, send) => {
    using files = scratch()
    const mark = crypto.randomUUID()
    const run = await npmDemo(mark, files.directory, "--lanes", "1")
    send(run.pid)
    await run.exited
    for (const line of STOPPED) expect(run.log()).toContain(line)
    expect(await leftovers(mark, files.directory)).toEqual([])
  })

  test.each([[], ["--keep"]])(
    "a second Ctrl-C does not wait, and leaves nothing behind either: %p",
    async (...args) => {
      using files = scratch()
      const mark = crypto.randomUUID()
      const run = await npmDemo(mark, files.directory, ...args)
      // Without its broker the pipeline does not stop in no time: the second one comes meanwhile.
      process.kill(brokerOf(mark), "SIGSTOP")
      process.kill(-run.pid, "SIGINT")
      await run.says("stopping payments pipeline")
      process.kill(-run.pid, "SIGINT")
      await run.exited
      expect(run.log()).not.toContain("Kafka is stopped")
      expect(await leftovers(mark, files.directory)).toEqual([])
    }
  )
})
