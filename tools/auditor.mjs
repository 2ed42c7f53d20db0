// Builds the native part of @confluentinc/kafka-javascript, the independent client that audits what Headrace wrote, from
// its own source for the Node that runs this; kept in the cache by version and Node's ABI.
import { execFileSync } from "node:child_process"
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync } from "node:fs"
import { availableParallelism } from "node:os"
import { dirname, join } from "node:path"
import { cacheRoot, root } from "./files.mjs"
import { runQuietly } from "./run.mjs"

const installed = join(root, "node_modules", "@confluentinc", "kafka-javascript")

const suffix = process.platform === "darwin" ? ["1.dylib"] : ["so.1"]
const libraries = ["librdkafka", "librdkafka++"].flatMap(name => suffix.map(end => join("deps", `${name}.${end}`)))
const addOn = join("Release", "confluent-kafka-javascript.node")

function cacheEntry() {
  const { version } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"))
  const abi = `${process.platform}-${process.arch}-abi${process.versions.modules}`
  return join(cacheRoot, "auditor", `${version}-${abi}`)
}

export function auditorIsBuilt() {
  return existsSync(cacheEntry())
}

/** The files are there, whole and those of the cache: sizes suffice, since they are copied to a temporary name first. */
export function auditorIsReady() {
  return existsSync(installed) && [addOn, ...libraries].every(file => existsSync(join(installed, "build", file)))
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
    await runQuietly(process.execPath, ["util/configure.js"], options)
    const jobs = `--jobs=${availableParallelism()}`
    await runQuietly(process.execPath, [nodeGyp(), "rebuild", jobs, ...headers()], options)
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

/** Node's own headers where it was installed with them; else node-gyp downloads them. */
function headers() {
  const prefix = dirname(dirname(process.execPath))
  return existsSync(join(prefix, "include", "node", "node.h")) ? [`--nodedir=${prefix}`] : []
}
