// Builds the native part of @confluentinc/kafka-javascript, the independent client that audits what Headrace wrote, from
// its own source for the machine's Node; kept in the cache by version and Node's ABI.
import { execFileSync } from "node:child_process"
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { cacheRoot, onPath, root } from "./files.mjs"
import { runQuietly } from "./run.mjs"

const installed = join(root, "node_modules", "@confluentinc", "kafka-javascript")

const suffix = process.platform === "darwin" ? ["1.dylib"] : ["so.1"]
const libraries = ["librdkafka", "librdkafka++"].flatMap(name => suffix.map(end => join("deps", `${name}.${end}`)))
const addOn = join("Release", "confluent-kafka-javascript.node")

/**
 * The Node that runs the auditing client: the machine's own. npm puts node_modules/.bin, with the pinned Node, in front
 * of PATH, so what `node` means differs between a first run and the next; this does not.
 */
export function auditNode() {
  return process.env.HEADRACE_AUDIT_NODE ?? onPath("node", path => !path.includes("node_modules")) ?? process.execPath
}

let abi

function auditAbi() {
  abi ??= execFileSync(auditNode(), ["-p", "process.versions.modules"], { encoding: "utf8" }).trim()
  return `${process.platform}-${process.arch}-abi${abi}`
}

function cacheEntry() {
  const { version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"))
  return join(cacheRoot, "auditor", `${version}-${auditAbi()}`)
}

export function auditorIsBuilt() {
  return existsSync(installed) && existsSync(cacheEntry())
}

const marker = join(installed, "build", "abi")

/** Built for the Node that is to run it? */
export function auditorIsReady() {
  return existsSync(marker) && readFileSync(marker, "utf8") === auditAbi()
}

export async function ensureAuditor(note) {
  const entry = cacheEntry()
  if (!existsSync(entry)) await build(entry, note)
  for (const file of [...libraries, addOn]) {
    const to = join(installed, "build", file)
    mkdirSync(dirname(to), { recursive: true })
    copyFileSync(join(entry, file), `${to}.part`)
    renameSync(`${to}.part`, to)
  }
  writeFileSync(marker, auditAbi())
}

/** In a copy, for node_modules is to stay as npm made it. */
async function build(entry, note) {
  const work = `${entry}.${process.pid}.part`
  rmSync(work, { recursive: true, force: true })
  mkdirSync(dirname(work), { recursive: true })
  cpSync(installed, join(work, "source"), { recursive: true })
  const env = { CKJS_LINKING: "dynamic", NODE_PATH: join(root, "node_modules"), MAKEFLAGS: "" }
  const options = { cwd: join(work, "source"), env, note }
  try {
    // node-gyp would run this as well, but not before what depends on it when it runs more than one job.
    await runQuietly(auditNode(), ["util/configure.js"], options)
    const jobs = `--jobs=${availableParallelism()}`
    await runQuietly(auditNode(), [nodeGyp(), "rebuild", jobs, ...headers()], options)
    for (const file of [addOn, ...libraries]) {
      mkdirSync(dirname(join(work, "result", file)), { recursive: true })
      copyFileSync(join(work, "source", "build", file), join(work, "result", file))
    }
    renameSync(join(work, "result"), entry)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Comes with npm. */
function nodeGyp() {
  const npm = process.env.npm_execpath
    ? dirname(dirname(process.env.npm_execpath))
    : join(execFileSync("npm", ["root", "--global"], { encoding: "utf8" }).trim(), "npm")
  return join(npm, "node_modules", "node-gyp", "bin", "node-gyp.js")
}

/** Node's own headers where it was installed with them; else node-gyp downloads them, or has them from npm's settings. */
function headers() {
  const prefix = dirname(dirname(realpathSync(auditNode())))
  return existsSync(join(prefix, "include", "node", "node.h")) ? [`--nodedir=${prefix}`] : []
}
