import { expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join, relative } from "node:path"

const root = join(import.meta.dir, "..")

/** What the sources of each place may import of the others: one direction, and the edges never each other. */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  "packages/core": [],
  "packages/pipeline": ["core"],
  "packages/engine": ["core", "pipeline"],
  "packages/avro": ["core", "pipeline", "engine"],
  "packages/kafka": ["core", "pipeline", "engine"],
  "packages/clickhouse": ["core", "pipeline", "engine"],
  "packages/spill": ["core", "engine"],
  "packages/s3": ["core", "engine"],
  "packages/testing": ["core", "pipeline", "engine"],
  "packages/sim": ["core", "pipeline", "engine", "clickhouse"],
  "packages/dev": [],
  workers: ["core", "pipeline", "engine", "avro", "kafka", "clickhouse", "spill", "s3"],
  loadtest: ["core", "pipeline", "engine", "avro", "kafka", "clickhouse", "s3", "dev", "workers"],
  "packages/app": ["core", "pipeline", "engine", "avro", "kafka", "clickhouse", "dev", "workers", "loadtest"]
}
/** Packages from outside that a place may use; places that are not listed may use any. */
const OUTSIDE: Readonly<Record<string, readonly RegExp[]>> = {
  "packages/core": [],
  "packages/pipeline": [/^effect(\/|$)/, /^@datadog\/sketches-js$/],
  "packages/engine": [/^effect(\/|$)/, /^node:crypto$/, /^node:worker_threads$/]
}
const NAMES: Readonly<Record<string, string>> = { headrace: "pipeline", "headrace-test": "testing" }

const sources = (directory: string): string[] =>
  readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return SKIPPED.has(entry.name) ? [] : sources(path)
    return path.endsWith(".ts") ? [path] : []
  })
const SKIPPED = new Set(["node_modules", "test", "native", "dist"])

const IMPORT =
  /(?:^|\n)(?:import|export)\b[^"'`;]*?\bfrom\s+"([^"]+)"|(?:^|\n)import\s+"([^"]+)"|\bimport\("([^"]+)"\)/g
const importsOf = (file: string): string[] =>
  [...readFileSync(file, "utf8").matchAll(IMPORT)]
    .map(match => (match[1] ?? match[2] ?? match[3])!)
    .filter(name => !name.endsWith(".json"))

/** The place that an import leads to: one of ours, "outside", or undefined within the place itself. */
const target = (place: string, file: string, name: string): string | undefined => {
  if (name.startsWith("@headrace/") || name in NAMES) {
    const short = NAMES[name] ?? name.split("/")[1]!
    return place.endsWith(`/${short}`) || place === short ? undefined : short
  }
  if (!name.startsWith(".")) return "outside"
  const path = relative(root, join(file, "..", name))
  if (path.startsWith(`${place}/`)) return undefined
  return path.replace(/^packages\//, "").split("/")[0]!
}

for (const [place, allowed] of Object.entries(ALLOWED)) {
  test(`${place} imports nothing but ${allowed.join(", ") || "itself"}`, () => {
    const wrong = sources(join(root, place)).flatMap(file =>
      importsOf(file).flatMap(name => {
        const to = target(place, file, name)
        const fine =
          to === undefined ||
          (to === "outside" ? (OUTSIDE[place]?.some(pattern => pattern.test(name)) ?? true) : allowed.includes(to))
        return fine ? [] : [`${relative(root, file)} imports ${name}`]
      })
    )
    expect(wrong).toEqual([])
  })
}

test.each(["packages/core", "packages/pipeline", "packages/engine"])(
  "%s runs in Bun, Node and Deno: it names none",
  place => {
    const wrong = sources(join(root, place, "src")).filter(file => /\b(Bun|Deno)\.\w/.test(readFileSync(file, "utf8")))
    expect(wrong.map(file => relative(root, file))).toEqual([])
  }
)

test("every place is under a rule", () => {
  const packages = readdirSync(join(root, "packages")).map(name => `packages/${name}`)
  expect(packages.filter(place => !(place in ALLOWED))).toEqual([])
})
