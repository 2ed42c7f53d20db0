import { SchemaIssue } from "effect"
import { isYaml } from "./document.ts"
import { type Override, SETTINGS } from "./origins.ts"

/** A value of the wrong type is told what its own schema expects ("a duration …"), not just "string". */
const standard = SchemaIssue.makeFormatterStandardSchemaV1({
  leafHook: issue => {
    const expected = issue._tag === "InvalidType" ? issue.ast.annotations?.expected : undefined
    if (typeof expected !== "string" || !SchemaIssue.hasInput(issue)) return SchemaIssue.defaultLeafHook(issue)
    return `Expected ${expected}, got ${JSON.stringify(issue.input)}`
  }
})

/** Every problem on its own line: where it was written, and what was expected there. */
export const explainIssues = (file: string, issue: SchemaIssue.Issue, overrides: readonly Override[]): string => {
  const lines = standard(issue).issues.map(({ path, message }) => {
    const at = (path ?? []).map(String)
    return `${origin(file, at, overrides)}: ${missing(at, message)}`
  })
  return [...new Set(lines)].join("\n")
}

const origin = (file: string, path: readonly string[], overrides: readonly Override[]): string => {
  const last = overrides.findLast(override => override.path.join(".") === path.join("."))
  if (last !== undefined) return last.origin
  return isYaml(file) ? `${file}: ${path.join(".")}` : path.join(".")
}

const HOW: Readonly<Record<string, string>> = Object.fromEntries(
  SETTINGS.flatMap(({ flag, variable: name, path }) =>
    path.map((_, i) => [path.slice(0, i + 1).join("."), `give it by --${flag}, ${name} or in a YAML file`] as const)
  ).reverse()
)

const missing = (path: readonly string[], message: string): string => {
  if (/^Missing key/i.test(message)) return `is missing; ${HOW[path.join(".")] ?? "give it in the file"}`
  if (/^(Unexpected|Excess) key/i.test(message)) return "is not a setting; see the README for the settings there are"
  if (isSecret(path)) return message.replace(/, got .*$/s, "")
  return message
}
const isSecret = (path: readonly string[]): boolean => /password|secret|auth|settings/i.test(path.join("."))
