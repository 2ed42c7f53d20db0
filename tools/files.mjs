// What the bootstrap shares. Plain Node ≥ 20 without dependencies: it runs before anything is installed.
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { homedir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

/** The pinned Bun, which runs everything that is TypeScript. */
export const bun = join(root, "node_modules", ".bin", "bun")

/** Outlives the checkout; packages/dev and the native crate use the same. */
export const cacheRoot =
  process.env.HEADRACE_CACHE || join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "headrace")

/** The first 16 hex digits of the SHA-256 of some text. */
export function hashOf(...texts) {
  return createHash("sha256").update(texts.join("\0")).digest("hex").slice(0, 16)
}

/** The content of a file of the checkout. */
export function textOf(path) {
  return readFileSync(join(root, path), "utf8")
}

// Beside what it vouches for, so that a removed node_modules takes its stamps along.
const stamps = join(root, "node_modules", ".headrace")

export function isStamped(name, key) {
  const file = join(stamps, name)
  return existsSync(file) && readFileSync(file, "utf8") === key
}

export function stamp(name, key) {
  mkdirSync(stamps, { recursive: true })
  writeFileSync(join(stamps, name), key)
}

/** The path of a program on PATH, the first one that is `accepted`, or undefined. */
export function onPath(program, accepted = () => true) {
  const directories = (process.env.PATH ?? "").split(delimiter).filter(Boolean)
  return directories.map(directory => join(directory, program)).find(path => accepted(path) && existsSync(path))
}
