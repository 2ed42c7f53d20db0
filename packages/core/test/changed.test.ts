/** How state that was written by another version of a pipeline is told from its own. */
import { expect, test } from "bun:test"
import fc from "fast-check"
import { type NamedStateSchema, type Shape, type StateSchema, showStateChange, stateChanges } from "../src/index.ts"

const process = (...states: readonly NamedStateSchema[]): StateSchema => ({ kind: "process", version: 2, states })
const value = (name: string, shape: Shape, ttl = false): NamedStateSchema => ({ name, kind: "value", ttl, shape })
const money = (cents: Shape): Shape => ({ record: { cents: { shape: cents }, currency: { shape: "string" } } })
const window = (sizeMs: number, ...names: readonly string[]): StateSchema => ({
  kind: "window",
  version: 2,
  sizeMs,
  offsetMs: 0,
  aggregates: names.map(name => ({ name, kind: "sum" }))
})

const cases: [string, StateSchema, StateSchema, [what: string, was: string, is: string][]][] = [
  [
    "a field of a value",
    process(value("balance", money("integer")), value("last", "string")),
    process(value("balance", money("string")), value("last", "string")),
    [["state balance .cents", "integer", "string"]]
  ],
  [
    "a field that an old reader could do without",
    process(value("balance", money("integer"))),
    process(value("balance", { record: { currency: { shape: "string" } } })),
    [
      [
        "state balance",
        "balance: value of { cents: integer, currency: string }",
        "balance: value of { currency: string }"
      ]
    ]
  ],
  [
    "states that are gone, new, and of another kind",
    process(value("a", "string"), value("b", "string")),
    process({ ...value("b", "string"), kind: "list" }, value("c", "string", true)),
    [
      ["state a", "a: value of string", "missing"],
      ["state b", "b: value of string", "b: list of string"],
      ["state c", "missing", "c: value of string with a ttl"]
    ]
  ],
  ["the size of windows", window(10, "sum"), window(20, "sum"), [["the window's size", "10 ms", "20 ms"]]],
  [
    "the order of columns",
    window(10, "spent", "refunded"),
    window(10, "refunded", "spent"),
    [
      [
        "the order of its parts",
        expect.stringContaining("spent, aggregate refunded"),
        expect.stringContaining("refunded, aggregate spent")
      ]
    ]
  ],
  ["another step", { kind: "clock", version: 1 }, window(10, "sum"), [["the step", "clock", "window"]]],
  [
    "another version of Headrace",
    { kind: "clock", version: 1 },
    { kind: "clock", version: 2 },
    [["Headrace's own layout", "version 1", "version 2"]]
  ],
  // Shown, they look the same.
  [
    "where a recursion goes back to",
    process(value("tree", { list: { tuple: [{ up: 1 }] } })),
    process(value("tree", { list: { tuple: [{ up: 2 }] } })),
    [["the schema", expect.stringContaining('"up":1'), expect.stringContaining('"up":2')]]
  ]
]
test.each(cases)("%s", (_, was, is, expected) => {
  expect(stateChanges(was, is)).toEqual(expected.map(([what, before, now]) => ({ what, was: before, is: now })))
  expect(stateChanges(was, was)).toEqual([])
})

const { shape: anyShape } = fc.letrec<{ shape: Shape }>(tie => ({
  shape: fc.oneof(
    { depthSize: "small" },
    fc.constantFrom<Shape[]>("string", "finite", "integer", "any"),
    fc.record({ list: tie("shape") }),
    fc.record({ union: fc.array(tie("shape"), { minLength: 1, maxLength: 2 }) }),
    fc.record({
      record: fc.dictionary(fc.constantFrom("a", "b"), fc.record({ shape: tie("shape") }), { maxKeys: 2 })
    })
  )
}))
const anyProcess = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom("a", "b"),
      kind: fc.constantFrom("value" as const, "list" as const),
      ttl: fc.boolean(),
      shape: anyShape
    }),
    { selector: one => one.name }
  )
  .map(states => process(...states))

test("whatever differs is found, and nothing else", () => {
  fc.assert(
    fc.property(anyProcess, anyProcess, (was, is) => {
      expect(stateChanges(was, is).length > 0).toBe(JSON.stringify(was) !== JSON.stringify(is))
    }),
    { numRuns: 2000 }
  )
})

test("is shown with where, what it was and what it is", () => {
  expect(showStateChange("spend", { what: "state last", was: "string", is: "integer" })).toBe(
    "  spend, state last\n    was:  string\n    is:   integer"
  )
})
