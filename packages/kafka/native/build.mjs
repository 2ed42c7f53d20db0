#!/usr/bin/env node
// Builds the native add-on, once for each content of the crate on a machine: `node packages/kafka/native/build.mjs`.
// Plain Node without dependencies, since it runs before anything else is there.
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync
} from "node:fs"
import { homedir } from "node:os"
import { dirname, join, relative } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"

const crate = dirname(fileURLToPath(import.meta.url))
const target = join(crate, "headrace_kafka.node")

/** Everything that decides what the add-on is. */
function sources() {
  const code = readdirSync(join(crate, "src"), { recursive: true, withFileTypes: true })
  const files = code.filter(entry => entry.isFile()).map(entry => join(entry.parentPath ?? entry.path, entry.name))
  return [...["Cargo.toml", "Cargo.lock", "build.rs"].map(name => join(crate, name)), ...files.sort()]
}

/** A name for the crate's content, this platform included. */
export function contentHash() {
  const hash = createHash("sha256").update(`${process.platform}-${process.arch}\0`)
  for (const file of sources())
    hash
      .update(`${relative(crate, file)}\0`)
      .update(readFileSync(file))
      .update("\0")
  return hash.digest("hex").slice(0, 20)
}

function cacheDirectory() {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), ".cache")
  return join(process.env.HEADRACE_CACHE || join(base, "headrace"), "native")
}

const tools = [
  ["cargo", "Rust's build tool: install Rust 1.88 or newer (rustup, or your distribution's `cargo` package)"],
  ["cc", "a C compiler, for librdkafka: install gcc or clang (Debian: `apt-get install build-essential`)"],
  ["make", "make, for librdkafka and OpenSSL (Debian: `apt-get install build-essential`)"],
  ["perl", "perl, which OpenSSL's build needs (Debian: `apt-get install perl`)"]
]

function requireTools() {
  const missing = tools.filter(([name]) => spawnSync(name, ["--version"], { stdio: "ignore" }).error)
  if (missing.length === 0) return
  const lines = missing.map(([name, how]) => `  ${name}: ${how}`)
  throw new Error(`The native Kafka add-on cannot be built, since these are missing:\n${lines.join("\n")}`)
}

/** Copies by a temporary name in the same directory, so that nobody ever loads half a file. */
function copyAtomically(from, to) {
  mkdirSync(dirname(to), { recursive: true })
  const temporary = `${to}.${process.pid}.tmp`
  copyFileSync(from, temporary)
  renameSync(temporary, to)
}

/** Runs cargo and reports each crate that it compiles; its last lines are part of the error. */
function cargo(directory, log) {
  return new Promise((resolve, reject) => {
    const env = { ...process.env, CARGO_TARGET_DIR: directory }
    const child = spawn("cargo", ["build", "--release", "--locked"], {
      cwd: crate,
      env,
      stdio: ["ignore", "ignore", "pipe"]
    })
    const tail = []
    createInterface({ input: child.stderr }).on("line", line => {
      tail.push(line)
      if (tail.length > 60) tail.shift()
      if (/^\s*(Compiling|Blocking|Downloading|Finished)/.test(line)) log(`native: ${line.trim()}`)
    })
    child.once("error", reject)
    child.once("close", code => {
      if (code === 0) resolve()
      else reject(new Error(`cargo build failed with exit code ${code} in ${crate}:\n${tail.join("\n")}`))
    })
  })
}

async function build(cache, cached, log) {
  requireTools()
  log("native: building the Kafka add-on (librdkafka and OpenSSL from source: about 5 minutes the first time)")
  const directory = join(cache, "target")
  mkdirSync(directory, { recursive: true })
  const started = Date.now()
  await cargo(directory, log)
  const library = process.platform === "darwin" ? "libheadrace_kafka.dylib" : "libheadrace_kafka.so"
  copyAtomically(join(directory, "release", library), cached)
  log(`native: built in ${Math.round((Date.now() - started) / 1000)} s`)
}

const marker = join(crate, "target", "built")

function upToDate(hash) {
  return existsSync(target) && existsSync(marker) && readFileSync(marker, "utf8") === hash
}

/**
 * Makes sure that `packages/kafka/native/headrace_kafka.node` is there and belongs to the crate as it is now.
 * Cheap when it does; else takes it from the cache or builds it. Resolves to the add-on's path.
 */
async function ensureNative({ log = () => {} } = {}) {
  const hash = contentHash()
  if (upToDate(hash)) return target
  const cache = cacheDirectory()
  const cached = join(cache, hash, "headrace_kafka.node")
  if (!existsSync(cached)) await build(cache, cached, log)
  rmSync(marker, { force: true })
  copyAtomically(cached, target)
  stamp(hash)
  log("native: the Kafka add-on is up to date")
  return target
}

function stamp(hash) {
  mkdirSync(dirname(marker), { recursive: true })
  writeFileSync(marker, hash)
}

if (process.argv[1] && fileURLToPath(import.meta.url) === process.argv[1]) {
  ensureNative({ log: console.log }).catch(error => {
    console.error(error.message)
    process.exitCode = 1
  })
}
