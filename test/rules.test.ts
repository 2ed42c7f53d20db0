import { describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { SABOTAGES } from "@headrace/sim"

const root = join(import.meta.dir, "..")
const read = (path: string): string => readFileSync(join(root, path), "utf8")

/** The rows of docs/rules.md: the rule, and what is named as failing without it. */
const rules = read("docs/rules.md")
  .split("\n")
  .flatMap(line => {
    const [, rule, fails] = /^\| (\d.*?) \| (.*) \|$/.exec(line) ?? []
    return rule === undefined ? [] : [[rule, fails!] as const]
  })
const named = (kind: RegExp) => rules.flatMap(([, fails]) => [...fails.matchAll(kind)])
const SIM = /sim `(\w+)`/g
const TEST = /test `([^`]+)` "([^"]+)"/g

describe("docs/rules.md", () => {
  test.each(rules)("%s", (_, fails) => {
    const tests = [...fails.matchAll(TEST)].map(([, path, name]) => ({
      path,
      name,
      there: read(path!).includes(name!)
    }))
    const sabotages = [...fails.matchAll(SIM)].map(([, name]) => name!)
    expect(tests.filter(one => !one.there)).toEqual([])
    expect(sabotages.filter(name => !SABOTAGES.some(one => one === name))).toEqual([])
    expect(tests.length + sabotages.length > 0 || fails.startsWith("open")).toBe(true)
  })

  test("names each broken protocol", () => {
    const known = new Set(named(SIM).map(([, name]) => name))
    expect(SABOTAGES.filter(name => !known.has(name))).toEqual([])
  })
})
