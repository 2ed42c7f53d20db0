// Runs every check and test and closes with one line, "N passed, N failed":
//   node tools/test.mjs [part of a path ...]     only the test files whose path has one of these parts
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { auditNode } from "./auditor.mjs"
import { bun, root } from "./files.mjs"

/** A test file that hangs is ended after this many minutes, and counts as failed. */
const minutesPerFile = 15

const filters = process.argv.slice(2).filter(argument => !argument.startsWith("-"))
const reports = mkdtempSync(join(tmpdir(), "headrace-test-"))
process.on("exit", () => rmSync(reports, { recursive: true, force: true }))

let running
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    running?.kill(signal)
    process.exit(signal === "SIGINT" ? 130 : 143)
  })
}

const results = []
for (const suite of suites()) results.push(await runSuite(suite))
process.exitCode = summarize(results)

function suites() {
  const files = testFiles()
  const isIntegration = file => file.endsWith(".it.test.ts")
  const units = files.filter(file => !isIntegration(file))
  return [
    ...(filters.length === 0 ? checks() : []),
    ...units.map(fileSuite),
    ...files.filter(isIntegration).map(fileSuite)
  ]
}

function checks() {
  const tool = name => join(root, "node_modules", ".bin", name)
  return [
    { name: "types (tsc)", command: [tool("tsc"), "-p", ".", "--noEmit"] },
    { name: "format and lint (biome)", command: [tool("biome"), "check", "--error-on-warnings", "."] }
  ]
}

/** One process a file: a crash takes only its own file down, and no state leaks from one to the next. */
function fileSuite(file, index) {
  const report = join(reports, `${index}-${file.replaceAll("/", "_")}.xml`)
  const reporter = ["--reporter=junit", `--reporter-outfile=${report}`]
  return { name: file, report, command: [bun, "test", "--timeout=120000", ...reporter, `./${file}`] }
}

function testFiles() {
  const skipped = new Set(["node_modules", "dist", "target", ".git", ".cache"])
  const found = []
  const visit = directory => {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name)
      if (entry.isDirectory() && !skipped.has(entry.name)) visit(path)
      else if (entry.isFile() && entry.name.endsWith(".test.ts")) found.push(relative(root, path))
    }
  }
  visit(root)
  return found.filter(file => filters.length === 0 || filters.some(part => file.includes(part))).sort()
}

async function runSuite(suite) {
  console.log(`\n── ${suite.name}`)
  const started = Date.now()
  const code = await run(suite.command)
  const counts = suite.report
    ? countsOf(suite.report, code)
    : { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 }
  return { name: suite.name, seconds: (Date.now() - started) / 1000, ...counts }
}

function run([program, ...args]) {
  return new Promise(resolve => {
    const env = { ...process.env, HEADRACE_AUDIT_NODE: auditNode() }
    running = spawn(program, args, { cwd: root, env, stdio: ["ignore", "inherit", "inherit"] })
    const timer = setTimeout(() => {
      console.log(`It did not end within ${minutesPerFile} minutes.`)
      running.kill("SIGKILL")
    }, minutesPerFile * 60_000)
    running.once("error", error => {
      console.log(error.message)
      clearTimeout(timer)
      resolve(127)
    })
    running.once("close", code => {
      clearTimeout(timer)
      resolve(code ?? 1)
    })
  })
}

/** What the file's report says. A run that failed without a failed test (a crash, a syntax error) counts as one. */
function countsOf(report, code) {
  const { tests, failures, skipped } = readReport(report)
  const failed = code === 0 ? failures : Math.max(1, failures)
  return { passed: Math.max(0, tests - failures - skipped), failed, skipped }
}

function readReport(report) {
  let text = ""
  try {
    text = readFileSync(report, "utf8")
  } catch {
    return { tests: 0, failures: 0, skipped: 0 }
  }
  const head = /<testsuites[^>]*>/.exec(text)?.[0] ?? ""
  const number = name => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0)
  return { tests: number("tests"), failures: number("failures") + number("errors"), skipped: number("skipped") }
}

function summarize(results) {
  const sum = key => results.reduce((total, result) => total + (result[key] ?? 0), 0)
  const width = Math.max(10, ...results.map(result => result.name.length))
  console.log(`\n${"suite".padEnd(width)}  passed  failed  skipped  seconds`)
  for (const { name, passed, failed, skipped = 0, seconds } of results) {
    const cells = [String(passed).padStart(6), String(failed).padStart(6), String(skipped).padStart(7)]
    console.log(`${name.padEnd(width)}  ${cells.join("  ")}  ${seconds.toFixed(1).padStart(7)}`)
  }
  const [passed, failed] = [sum("passed"), sum("failed")]
  const nothing = passed + failed === 0
  if (nothing) console.log(`No test file has ${filters.join(" or ")} in its path.`)
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed > 0 || nothing ? 1 : 0
}
