// Makes a checkout able to run: each step shows a line, and is skipped when there is nothing to do.
//   node tools/setup.mjs [demo|build|bench|nexmark|chaos|sim|test]
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { auditorIsBuilt, auditorIsReady, ensureAuditor } from "./auditor.mjs"
import { bun, cacheRoot, hashOf, isStamped, onPath, root, stamp, textOf } from "./files.mjs"
import { step } from "./progress.mjs"
import { runQuietly } from "./run.mjs"

const advice = {
  java: "a JDK 17 or newer: the development broker and schema registry run on it\n      apt install openjdk-17-jdk-headless | brew install openjdk@21 | sdk install java",
  mvn: "Apache Maven: it downloads the development broker and schema registry\n      apt install maven | brew install maven | sdk install maven",
  cargo: "Rust 1.88 or newer: the native Kafka client is built with it\n      https://rustup.rs | brew install rust",
  cc: "a C compiler: librdkafka and the launchers of the development servers are C\n      apt install build-essential | xcode-select --install",
  "c++":
    "a C++ compiler: the client that audits the results in the tests is C++\n      apt install build-essential | xcode-select --install",
  make: "make: librdkafka is built with it\n      apt install build-essential | xcode-select --install",
  perl: "perl: OpenSSL's build needs it\n      apt install perl | brew install perl",
  python3: "Python 3: node-gyp builds the auditing client with it\n      apt install python3 | brew install python"
}

/** What each command needs, in the order in which it is made. */
const needs = {
  build: ["packages", "native"],
  demo: ["packages", "native", "servers"],
  bench: ["packages", "native", "servers"],
  chaos: ["packages", "native", "servers", "auditor"],
  nexmark: ["packages", "native", "servers"],
  sim: ["packages"],
  conformance: ["packages"],
  test: ["packages", "native", "servers", "auditor"]
}

const steps = {
  packages: {
    name: "npm packages (pinned Bun, Node, Deno, ClickHouse, libraries)",
    tools: () => [],
    upToDate: packagesMatchLock,
    run: installPackages
  },
  native: {
    name: "native Kafka client (Rust, librdkafka)",
    tools: () => ["cargo", "cc", "make", "perl"],
    upToDate: nativeIsBuilt,
    run: note => runQuietly(process.execPath, [nativeBuild], { note })
  },
  servers: {
    name: "development servers (Kafka, schema registry, ClickHouse)",
    tools: serverTools,
    upToDate: () => startedServers().length === 0 || (isStamped("servers", serversKey()) && serversAreCached()),
    run: async note => {
      await runQuietly(bun, ["tools/servers.ts"], { note })
      stamp("servers", serversKey())
    }
  },
  auditor: {
    name: "auditing Kafka client (kafka-javascript from source)",
    tools: () => (auditorIsBuilt() ? [] : ["c++", "make", "python3"]),
    upToDate: auditorIsReady,
    run: ensureAuditor
  }
}

export async function setUp(command) {
  requireNode()
  const wanted = needs[command].map(name => steps[name])
  await requireTools(wanted)
  for (const each of wanted) await step(each)
}

function requireNode() {
  const major = Number(process.versions.node.split(".")[0])
  if (major >= 20) return
  throw new Error(
    `Node ${process.versions.node} is too old: Headrace's tools need Node 20 or newer (https://nodejs.org)`
  )
}

/** All that is missing at once, so that one look at the message is enough. */
async function requireTools(wanted) {
  const open = []
  for (const each of wanted) if (!(await each.upToDate())) open.push(each)
  // Java is not only for making the servers, but for running them.
  const running = wanted.includes(steps.servers) && needsJava()
  const tools = new Set([...open.flatMap(each => each.tools()), ...(running ? ["java"] : [])])
  const missing = [...tools].filter(tool => !isThere(tool))
  if (missing.length === 0) return
  throw new Error(`Missing on this machine:\n${missing.map(tool => `  ${tool}: ${advice[tool]}`).join("\n")}`)
}

function isThere(tool) {
  if (tool === "java" && process.env.JAVA_HOME && existsSync(join(process.env.JAVA_HOME, "bin", "java"))) return true
  return onPath(tool) !== undefined
}

/** npm leaves in node_modules what it installed there: the same as the lock file asks for? */
function packagesMatchLock() {
  const installedLock = join(root, "node_modules", ".package-lock.json")
  if (!existsSync(installedLock) || !existsSync(bun)) return false
  const installed = JSON.parse(readFileSync(installedLock, "utf8")).packages
  const locked = Object.entries(JSON.parse(textOf("package-lock.json")).packages)
  return locked
    .filter(([path]) => path.startsWith("node_modules/"))
    .every(([path, wanted]) => {
      if (wanted.link) return existsSync(join(root, path))
      const found = installed[path]
      return found ? found.version === wanted.version : Boolean(wanted.optional)
    })
}

async function installPackages(note) {
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ["npm"]
  // What the lock file says, as with `npm ci`; but that refuses a lock file which lacks packages for other platforms,
  // and npm writes such a one wherever it cannot see them. Scripts are not run: one of them builds the auditing client,
  // which only the tests need (its own step).
  const args = [...npm.slice(1), "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
  await runQuietly(npm[0], args, { note })
  // Bun's own script puts its binary in place.
  await runQuietly(process.execPath, ["install.js"], { note, cwd: join(root, "node_modules", "bun") })
}

const nativeBuild = join(root, "packages", "kafka", "native", "build.mjs")

async function nativeIsBuilt() {
  const crate = join(root, "packages", "kafka", "native")
  const marker = join(crate, "target", "built")
  if (!existsSync(join(crate, "headrace_kafka.node")) || !existsSync(marker)) return false
  const { contentHash } = await import(pathToFileURL(nativeBuild).href)
  return readFileSync(marker, "utf8") === contentHash()
}

/** The development servers that are started here: a variable names one that runs already instead. */
function startedServers() {
  return ["KAFKA", "REGISTRY", "CLICKHOUSE"].filter(name => !process.env[`HEADRACE_${name}`])
}

function needsJava() {
  return startedServers().some(name => name !== "CLICKHOUSE")
}

/** What is started runs under a launcher in C, which the cache keeps. */
function serverTools() {
  const cached = serversAreCached()
  return [...(needsJava() ? ["java"] : []), ...(needsJava() && !cached ? ["mvn"] : []), ...(cached ? [] : ["cc"])]
}

function serversAreCached() {
  return existsSync(join(cacheRoot, "bin"))
}

/** Names the code that makes the servers, which ones, and where it puts them. */
function serversKey() {
  const sources = ["src", "native"].flatMap(part => {
    const directory = join("packages", "dev", part)
    return readdirSync(join(root, directory))
      .sort()
      .map(file => textOf(join(directory, file)))
  })
  return hashOf(cacheRoot, process.env.JAVA_HOME ?? "", ...startedServers(), ...sources)
}
