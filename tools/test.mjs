// Runs every check and test and closes with one line, "N passed, N failed":
//   node tools/test.mjs                          all, a few at a time
//   node tools/test.mjs part of a path ...       only the test files whose path has one of these parts, one at a time
import { spawn } from "node:child_process"
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join, relative } from "node:path"
import { auditNode } from "./auditor.mjs"
import { bun, root } from "./files.mjs"

/** A test file that hangs is ended after this many minutes, and counts as failed. */
const minutesPerFile = 15
/** Each may start a broker, a registry and a ClickHouse: 2 GB and two processors' worth while they start. */
const mostAtOnce = 4
/** Of what a failed test wrote, this much is said once more at the end. */
const linesPerFailure = 30

const filters = process.argv.slice(2).filter(argument => !argument.startsWith("-"))
const reports = mkdtempSync(join(tmpdir(), "headrace-test-"))
process.on("exit", () => rmSync(reports, { recursive: true, force: true }))

const running = new Set()
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => {
    for (const child of running) child.kill(signal)
    process.exit(signal === "SIGINT" ? 130 : 143)
  })
}

const results = filters.length > 0 ? await inTurn(suites()) : await severalAtOnce(suites())
process.exitCode = summarize(results)

/** Somebody looks at these: their output comes as they write it. */
async function inTurn(suites) {
  const results = []
  for (const suite of suites) {
    console.log(`\n── ${suite.name}`)
    results.push(await runSuite(suite, "inherit"))
  }
  return results
}

/**
 * From both ends towards the middle, for at the front is what computes and at the back what waits for servers: together
 * they keep the processors busy, and neither is short of them. What a suite writes comes when it is through.
 */
async function severalAtOnce(suites) {
  const open = [...suites]
  const results = new Map()
  const work = async take => {
    for (let suite = take(); suite !== undefined; suite = take()) results.set(suite, await runHeld(suite))
  }
  const hands = Math.min(Math.max(2, availableParallelism()), mostAtOnce)
  await Promise.all(Array.from({ length: hands }, (_, hand) => work(() => (hand === 0 ? open.shift() : open.pop()))))
  return suites.map(suite => results.get(suite))
}

async function runHeld(suite) {
  const output = []
  const result = await runSuite(suite, "pipe", chunk => output.push(chunk))
  const text = Buffer.concat(output).toString()
  process.stdout.write(`\n── ${suite.name}, ${result.seconds.toFixed(1)} s\n${text}`)
  return result.failed > 0 ? { ...result, text } : result
}

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
  return {
    name: file,
    report,
    command: [bun, "test", ...reporter, `./${file}`]
  }
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

async function runSuite(suite, output, read) {
  const started = Date.now()
  const code = await run(suite.command, output, read)
  const counts = suite.report
    ? countsOf(suite.report, code)
    : { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1 }
  return { name: suite.name, seconds: (Date.now() - started) / 1000, ...counts }
}

function run([program, ...args], output, read) {
  return new Promise(resolve => {
    const env = { ...process.env, HEADRACE_AUDIT_NODE: auditNode() }
    const child = spawn(program, args, { cwd: root, env, stdio: ["ignore", output, output] })
    running.add(child)
    for (const stream of [child.stdout, child.stderr]) stream?.on("data", read)
    const say = text => (read ? read(Buffer.from(`${text}\n`)) : console.log(text))
    const timer = setTimeout(() => {
      say(`It did not end within ${minutesPerFile} minutes.`)
      child.kill("SIGKILL")
    }, minutesPerFile * 60_000)
    const end = code => {
      running.delete(child)
      clearTimeout(timer)
      resolve(code)
    }
    child.once("error", error => {
      say(error.message)
      end(127)
    })
    child.once("close", code => end(code ?? 1))
  })
}

/** What the file's report says. A run that failed without a failed test (a crash, a syntax error) counts as one. */
function countsOf(report, code) {
  const { tests, failures, skipped } = readReport(report)
  // One that says nothing of any test has not run them.
  const failed = code === 0 && tests > 0 ? failures : Math.max(1, failures)
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
  for (const { name, text } of results) if (text !== undefined) console.log(`\n── ${name}: why\n${endings(text)}`)
  const [passed, failed] = [sum("passed"), sum("failed")]
  const nothing = passed + failed === 0
  if (nothing) console.log(`No test file has ${filters.join(" or ")} in its path.`)
  console.log(`\n${passed} passed, ${failed} failed`)
  return failed > 0 || nothing ? 1 : 0
}

/** Who has only the end of a long log is to find there what failed: the lines up to each failed test, or the last ones. */
function endings(text) {
  const lines = text.trimEnd().split("\n")
  const failures = lines.flatMap((line, index) => (line.startsWith("(fail)") ? [index + 1] : []))
  const ends = failures.length > 0 ? failures.slice(0, 3) : [lines.length]
  return ends.map(end => lines.slice(Math.max(0, end - linesPerFailure), end).join("\n")).join("\n")
}
