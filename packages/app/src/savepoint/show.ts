import { showSchema } from "@headrace/core"
import { type Listed, leftBehind, type Manifest, type RestoreReport } from "@headrace/engine"

/** Columns as wide as what stands in them; numbers to the right. */
const table = (rows: readonly (readonly string[])[]): string => {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  const right = widths.map((_, column) => rows.slice(1).every(row => /^[\d,.]+( [kMG]?B)?$|^-$/.test(row[column]!)))
  return rows
    .map(row =>
      row
        .map((cell, i) => (right[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join("  ")
        .trimEnd()
    )
    .join("\n")
}

const count = (value: number): string => value.toLocaleString("en")

const size = (bytes: number): string => {
  const unit = ["B", "kB", "MB", "GB"].findIndex((_, i) => bytes < 1000 ** (i + 1))
  const exponent = unit < 0 ? 3 : unit
  return `${(bytes / 1000 ** exponent).toFixed(exponent === 0 ? 0 : 1)} ${["B", "kB", "MB", "GB"][exponent]}`
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0)

export const showList = (listed: readonly Listed[]): string => {
  if (listed.length === 0) return "no savepoints"
  const rows = listed.map(({ id, manifest, damage }) =>
    manifest === undefined
      ? [id, "-", "-", "-", "-", damage ?? "damaged"]
      : [
          id,
          manifest.app,
          manifest.createdAt,
          count(sum(manifest.partitions.map(one => one.entries))),
          size(sum(manifest.partitions.map(one => one.bytes))),
          manifest.drained ? "drained" : ""
        ]
  )
  return table([["ID", "APP", "CREATED", "ENTRIES", "SIZE", ""], ...rows])
}

export const showManifest = (manifest: Manifest): string => {
  const { id, app, pipeline, digest, headrace, createdAt, drained } = manifest
  const facts = [
    ["savepoint", `${id}${drained ? " (drained)" : ""}`],
    ["app", app],
    ["pipeline", `${pipeline}, digest ${digest}`],
    ["created", `${createdAt} by Headrace ${headrace}`]
  ]
  const operators = manifest.operators.map(one => [
    one.id,
    count(one.keys),
    count(one.entries),
    size(one.bytes),
    showSchema(one.schema)
  ])
  const partitions = manifest.partitions.map(one => [
    `${one.topic}/${one.partition}`,
    one.sourceOffset === null ? "-" : count(one.sourceOffset),
    count(one.entries),
    size(one.bytes)
  ])
  return [
    facts.map(([name, value]) => `${name!.padEnd(10)} ${value}`).join("\n"),
    table([["OPERATOR", "KEYS", "ENTRIES", "SIZE", "STATE"], ...operators]),
    table([["PARTITION", "OFFSET", "ENTRIES", "SIZE"], ...partitions])
  ].join("\n\n")
}

/** What became of each operator. */
export const showRestore = ({ manifest, match, sources, tables }: RestoreReport): string => {
  const rows = match.operators.map(({ contents, own, comparison }) => {
    if (own === undefined) return [contents.id, "left behind"]
    const changes = [
      own.id === contents.id ? "" : `now ${own.id}`,
      ...(comparison?.migrated.map(part => `${part} migrated`) ?? []),
      ...(comparison?.dropped.map(part => `${part} left behind`) ?? []),
      ...(comparison?.added.map(part => `${part} empty`) ?? [])
    ].filter(change => change !== "")
    return [contents.id, ["restored", ...changes].join(", ")]
  })
  const added = match.added.map(id => [id, "new, empty"])
  const topics = sources.map(({ topic, before, survey, positions }) =>
    survey === undefined
      ? `${topic}: ${positions.length} partitions, as in the savepoint`
      : `${topic}: ${survey.before} partitions of ${before} split by key into ${survey.after}`
  )
  const filled = tables.map(({ table: name, goesOn }) =>
    goesOn
      ? `table ${name}: goes on behind the rows of ${manifest.app}`
      : `table ${name}: ${manifest.app} still fills it, so that it is left to that one; a sink of this job will refuse it`
  )
  const left = leftBehind(match)
  return [
    `restored from ${manifest.id}`,
    ...topics,
    ...filled,
    table([["OPERATOR", "STATE"], ...rows, ...added]),
    ...(left.length === 0 ? [] : [`left behind: ${left.join("; ")}`])
  ].join("\n")
}
