import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Case, type Runner, VARIANTS } from "./case.ts"
import { dedup } from "./dedup.ts"
import { intervalJoin, temporalJoin, windowJoin } from "./joins.ts"
import { cep, cepInvalid } from "./patterns.ts"
import { aligned, combined } from "./watermarks.ts"
import { windows } from "./windows.ts"

const RUNNERS: Readonly<Record<string, Runner>> = {
  window: windows,
  "interval-join": intervalJoin,
  "window-join": windowJoin,
  "window-cogroup": windowJoin,
  "temporal-join": temporalJoin,
  dedup,
  watermark: combined,
  "watermark-idle-timeout": combined,
  "watermark-align": aligned,
  cep,
  "cep-invalid": cepInvalid
}

/** What the cases of a kind came to. */
export interface Result {
  readonly kind: string
  readonly passed: number
  /** Names of cases, each with what is wrong. */
  readonly failed: readonly string[]
}

/** All files of a directory with cases, and of those in it; `quirks` are to be looked at, and not run. */
const caseFiles = (directory: string): readonly string[] =>
  readdirSync(directory, { withFileTypes: true })
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap(entry => {
      const path = join(directory, entry.name)
      if (entry.isDirectory()) return entry.name === "quirks" ? [] : caseFiles(path)
      return entry.name.endsWith(".json") ? [path] : []
    })

/** Runs all cases of a directory, each in all variants. */
export const runAll = (directory: string): readonly Result[] => {
  const cases = caseFiles(directory).flatMap(file => JSON.parse(readFileSync(file, "utf8")) as readonly Case[])
  return [...new Set(cases.map(({ kind }) => kind))].map(kind => runKind(kind, cases.filter(one => one.kind === kind)))
}

const runKind = (kind: string, cases: readonly Case[]): Result => {
  const failed = cases.flatMap(one => {
    const wrong = runCase(one)
    return wrong === undefined ? [] : [`${one.name}: ${wrong}`]
  })
  return { kind, passed: cases.length - failed.length, failed }
}

/** What is wrong with a case, in the first variant that is not right. One that nobody runs is wrong. */
export const runCase = (one: Case): string | undefined => {
  const run = RUNNERS[one.kind]
  if (run === undefined) return `there is nothing that runs cases of the kind "${one.kind}"`
  for (const variant of VARIANTS) {
    try {
      const wrong = run(one, variant)
      if (wrong !== undefined) return `${variant.name}, ${wrong}`
    } catch (error) {
      return `${variant.name}, ${error instanceof Error ? error.message : String(error)}`
    }
  }
  return undefined
}
