import { expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { PatternError } from "@headrace/core"
import { Pattern } from "../src/index.ts"

interface Event {
  readonly name: string
}
const is = (name: string) => (event: Event) => event.name === name
const pair = Pattern.begin("b", is("b")).next("c", is("c"))
const behind = (group: Pattern.Pattern<Event, "b" | "c">) => Pattern.begin("a", is("a")).followedByGroup(group)

test("what is said of a group and would do nothing is refused, by its name", () => {
  const group = 'The group "(b c)"'
  expect(() => behind(pair.within("1 second"))).toThrow(`${group} has a within`)
  expect(() => Pattern.beginGroup(pair.within("1 second"))).toThrow(`${group} has a within`)
  expect(() => behind(pair.skipPastLast())).toThrow(`${group} has a skip strategy`)
  expect(() => behind(pair).where(is("b")).done()).toThrow(`${group} has a condition`)
  expect(() => behind(pair).or(is("b")).done()).toThrow(`${group} has a condition`)
  expect(() => behind(pair).gap("1 second").done()).toThrow(`${group} has a gap`)
  expect(() => behind(pair).oneOrMore().greedy().done()).toThrow(`${group} is greedy`)
  expect(() => behind(pair.gap("1 second")).within("1 minute").skipPastLast().done()).not.toThrow()
})

test("a time that is said within a group is that of the whole pattern, as in Flink: the shortest of all counts", () => {
  const begun = Pattern.begin("b", is("b")).within("5 seconds").next("c", is("c"))
  const whole = behind(pair).within("5 seconds").done()
  expect(JSON.stringify(behind(begun).done())).toBe(JSON.stringify(whole))
  expect(behind(begun).within("3 seconds").done().withinMs).toBe(3_000)
  expect(Pattern.begin("a", is("a")).within("3 seconds").followedByGroup(begun).done().withinMs).toBe(3_000)
  expect(behind(begun).within("9 seconds").done().withinMs).toBe(5_000)
  expect(Pattern.beginGroup(begun).followedBy("d", is("d")).done().withinMs).toBe(5_000)
  expect(behind(begun).optional().done().withinMs).toBe(5_000)
  expect(behind(pair).within("5 seconds").within("9 seconds").done().withinMs).toBe(9_000)
  // It is said of the group in the group, which is not the last step there.
  const nested = Pattern.beginGroup(pair).within("5 seconds").next("d", is("d"))
  expect(Pattern.beginGroup(nested).done().withinMs).toBe(5_000)
  expect(() => Pattern.beginGroup(Pattern.beginGroup(pair).within("5 seconds"))).toThrow("has a within")
  expect(Pattern.beginGroup(Pattern.beginGroup(begun)).done().withinMs).toBe(5_000)
  expect(() => behind(begun.within("5 seconds"))).toThrow('The group "(b c)" has a within')
  // What it is said for is the time that no gap may be longer than.
  const gap = (gap: string) => behind(begun.gap(gap as "1 second"))
  expect(() => gap("5 seconds").done()).not.toThrow()
  expect(() => gap("6 seconds").done()).toThrow('"c" may come 6000 ms after')
})

test("so it is in a pattern as data", () => {
  const name = (value: string) => ({ field: "name", op: "==", value })
  const data = (more: object, inner: object = {}) => ({
    pattern: [{ name: "g", group: [{ name: "b", where: name("b"), ...inner }], ...more }]
  })
  const read = (of: object) => () => Pattern.fromSpec(Pattern.readSpec(of))
  expect(read(data({}))).not.toThrow()
  expect(read(data({ where: name("b") }))).toThrow('The group "g" has a condition')
  const within = { ms: 1000, type: "first-and-last" }
  expect(read(data({}, { within }))).toThrow('The group "(b)" has a within')
  const first = [
    { name: "b", within },
    { name: "c", contiguity: "next" }
  ]
  expect(read({ pattern: [{ name: "g", group: first }] })().done().withinMs).toBe(1000)
  expect(read(data({ within: { ms: 1000, type: "previous-and-current" } }))).toThrow('The group "(b)" has a gap')
})

test("a time of nothing is none, between two events as over all", () => {
  expect(pair.gap(0).done().steps.at(-1)?.gapMs).toBeUndefined()
})

test("in a pattern as data one of less than nothing is none as well, by Flink's rules", () => {
  const read = (type: string, contiguity = "followedBy", more: object = {}) =>
    Pattern.fromSpec(
      Pattern.readSpec({ pattern: [{ name: "a" }, { name: "b", contiguity, ...more }], within: { ms: -5, type } })
    ).done()
  expect(read("first-and-last").withinMs).toBe(0)
  expect(read("previous-and-current").steps.at(-1)?.gapMs).toBeUndefined()
  expect(
    read("first-and-last", "next", { times: { from: 2, to: 2, withinMs: -1 } }).steps.at(-1)?.gapMs
  ).toBeUndefined()
  for (const type of ["first-and-last", "previous-and-current"])
    expect(() => read(type, "notFollowedBy")).toThrow(PatternError)
  const gap = { within: { ms: 1, type: "previous-and-current" } }
  expect(() => read("first-and-last", "next", { times: { oneOrMore: true }, ...gap })).toThrow(
    '"b" may come 1 ms after the event before it, and all of the pattern takes 0 ms'
  )
})

test("what nobody can count to is refused", () => {
  const rounds = (times: number) => Pattern.beginGroup(Pattern.begin("b", is("b")).times(100)).times(times)
  expect(() => rounds(100).done()).not.toThrow()
  expect(() => rounds(10_000).done()).toThrow('"b" comes to more than 100000 states')
  expect(() => Pattern.begin("b", is("b")).timesOrMore(1e12).done()).toThrow('"b" comes to more than 100000 states')
  expect(() => Pattern.begin("b", is("b")).times(1, 2.5).done()).toThrow('"b" takes up to 2.5 events')
  // Each of these is made once for each of those before it.
  const begun = Pattern.begin<Event, string>("a", is("a")).notFollowedBy("no", is("n"))
  const named = (count: number) =>
    Array.from({ length: count }, (_, i) => `step ${i}`).reduce(
      (pattern, name) => pattern.followedBy(name as never, is("b")).optional() as Pattern.Pattern<Event, string>,
      begun
    )
  expect(() =>
    named(100)
      .followedBy("end" as never)
      .done()
  ).not.toThrow()
  expect(() =>
    named(1_000)
      .followedBy("end" as never)
      .done()
  ).toThrow("states: count to less")
})

test("what Flink refuses is refused by the name of the step", () => {
  const cases: readonly {
    readonly name: string
    readonly spec: { readonly pattern: readonly { readonly name: string }[] }
  }[] = JSON.parse(readFileSync(join(import.meta.dir, "../../../test/vectors/cep/invalid.json"), "utf8"))
  const named = cases.map(({ name, spec }) => {
    try {
      Pattern.fromSpec(Pattern.readSpec(spec))
      return `${name} passed`
    } catch (error) {
      return /step "\w+"|"[$\w()]+"/.test((error as Error).message) ? undefined : `${name}: ${(error as Error).message}`
    }
  })
  expect(named.filter(one => one !== undefined)).toEqual([])
})
