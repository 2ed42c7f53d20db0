import { describe, expect, test } from "bun:test"
import { Schema } from "effect"
import { type Node, Patterns, Pipeline, Sink, Source, toPlan } from "headrace"
import { TestDriver } from "../src/driver.ts"

const Payment = Schema.Struct({
  account: Schema.String,
  country: Schema.String,
  cents: Schema.Number,
  at: Schema.Number
})
const payments = Source.kafka("payments", Payment, { key: "account", eventTime: p => p.at })
const patterns = Patterns.topic("fraud.patterns")

const matched = Pipeline.make("fraud")
  .from(payments)
  .keyBy(p => p.account)
  .matchDynamic("fraud", patterns, { explain: true })
const pipeline = Pipeline.all(
  matched.to(Sink.kafka("alerts", Patterns.matchOf(Payment))),
  matched.timedOut.to(Sink.kafka("missed", Patterns.matchOf(Payment)))
)

const small = { name: "small", where: { field: "cents", op: "<", value: 100 } }
const large = (value: number) => ({
  name: "large",
  contiguity: "followedBy",
  where: { field: "cents", op: ">=", value }
})
const trial = (value: number) => ({ pattern: [small, large(value)], within: { ms: 60_000, type: "first-and-last" } })

let requests = 0
const control = (id: string, version: number, spec: object | string, status = "active") => ({
  id,
  version,
  status,
  spec: typeof spec === "string" ? spec : JSON.stringify(spec),
  request: `r${requests++}`
})

const patternsOf = (nodes: readonly Node[]) => nodes.find(node => node.kind === "dynamicPattern")!

const driving = () => {
  const driver = new TestDriver(pipeline, { partitions: 3 })
  let at = 0
  const pay = (account: string, cents: number, country = "DE") => {
    at += 1000
    driver.push(payments, { account, cents, country, at })
    driver.watermark(at)
  }
  const say = (...all: readonly ReturnType<typeof control>[]) => {
    driver.push(patterns.control, ...all.map(one => new Patterns.Control(one)))
    return driver
      .values<Patterns.Reply>(patterns.replies)
      .map(({ accepted, reason, from }) => (from !== null ? from : accepted ? "accepted" : reason))
  }
  const alerts = () =>
    driver
      .values<Patterns.Match<typeof Payment.Type, string>>("alerts")
      .map(({ pattern, version, key, steps }) => [
        `${pattern}:${version}`,
        key,
        ...steps.map(({ step, events }) => `${step} ${events.map(({ cents }) => cents).join()}`)
      ])
  return { driver, pay, say, alerts }
}

test("a match says how it came about", () => {
  const { driver, pay, say } = driving()
  const many = { ...small, times: { timesOrMore: 2 } }
  say(control("many", 1, { ...trial(5000), pattern: [many, large(5000)], skip: { type: "past-last" } }))
  for (const cents of [1, 500, 2, 9000]) pay("a", cents)
  const [match] = driver.values<Patterns.Match<typeof Payment.Type, string>>("alerts")
  expect(match?.path).toEqual([
    { step: "small", how: "begin", at: 1000, afterMs: 0, ignored: 0 },
    { step: "small", how: "skip", at: 3000, afterMs: 2000, ignored: 1 },
    { step: "large", how: "followedBy", at: 4000, afterMs: 1000, ignored: 0 }
  ])
})

describe("patterns on a control topic", () => {
  test("are looked for once they are accepted, and matches say which version found them", () => {
    const { pay, say, alerts } = driving()
    pay("a", 1)
    expect(say(control("trial", 1, trial(5000)))).toEqual(["accepted", 1000])
    pay("a", 2)
    pay("a", 9000)
    expect(alerts()).toEqual([["trial:1", "a", "small 2", "large 9000"]])
    expect(say(control("trial", 2, trial(10_000)))).toEqual(["accepted", 3000])
    pay("b", 3)
    pay("b", 9000)
    pay("b", 10_000)
    expect(alerts()).toEqual([["trial:2", "b", "small 3", "large 10000"]])
  })

  test("rest, go on and go, also across a restore", () => {
    const { driver, pay, say, alerts } = driving()
    say(control("trial", 1, trial(5000)))
    pay("a", 1)
    say(control("trial", 1, trial(5000), "paused"))
    driver.restore()
    pay("a", 9000)
    expect(alerts()).toEqual([])
    say(control("trial", 1, trial(5000)))
    driver.restore()
    pay("a", 8000)
    expect(alerts()).toEqual([["trial:1", "a", "small 1", "large 8000"]])
    pay("a", 2)
    say(control("trial", 1, "", "removed"))
    driver.restore()
    pay("a", 8000)
    driver.watermark("end")
    expect(alerts()).toEqual([])
  })

  test("what is refused says why, names the step and the field, and changes nothing", () => {
    const { pay, say, alerts } = driving()
    say(control("trial", 2, trial(5000)))
    const cents = (where: object) => ({ pattern: [{ name: "small", where }] })
    expect(
      say(
        control("x", 1, "{"),
        control("x", 1, { pattern: [] }),
        control("x", 1, cents({ feild: "cents", op: "<", value: 1 })),
        control("x", 1, cents({ field: "cent", op: "<", value: 1 })),
        control("x", 1, cents({ field: "cents", op: "<", value: "1" })),
        control("x", 1, cents({ and: [{ field: "cents", op: "like", value: 1 }] })),
        control("x", 1, { pattern: [small, { name: "large" }] }),
        control("x", 1, { pattern: [small, { ...large(1), contiguity: "notFollowedBy" }] }),
        control("x", 1, cents({ iterative: { count: ["large"], op: ">", value: 1 } })),
        control("x y", 1, trial(1)),
        control("x", 0, trial(1)),
        control("x", 1, trial(1), "gone"),
        control("trial", 1, trial(1)),
        control("trial", 2, trial(1))
      )
    ).toEqual([
      expect.stringMatching(/^its spec is no JSON: /),
      "the pattern, pattern: Expected a value with a length of at least 1",
      'step "small", where.feild: Expected no excess property',
      'step "small", where.field: "cent" is no field of the events, which have account, country, cents, at',
      'step "small", where: "cents" holds a number, and it is compared with "1"',
      'step "small", where.and[0].op: Expected "==" | "!=" | "<" | "<=" | ">" | ">=" | "in"',
      '"large" does not say how it follows: give it a contiguity',
      '"large" is not to follow, and the pattern ends with it: say within what time, by within(…)',
      'step "small", where.iterative.count: the pattern has no step "large", it has small',
      '"x y" cannot be a pattern\'s id: it is empty or contains blanks',
      "its version is 0: make it 1 or more",
      'its status is "gone": make it active, paused, removed',
      "its version 1 is over: 2 has come already",
      "its version 2 is another pattern already: give it a greater one"
    ])
    pay("a", 1)
    pay("a", 9000)
    expect(alerts()).toEqual([["trial:2", "a", "small 1", "large 9000"]])
  })

  test("that another version of the pipeline refuses are not looked for by it, said once; what they had is dropped", () => {
    const { driver, pay, say, alerts } = driving()
    const german = { field: "country", op: "==", value: "DE" }
    const domestic = { ...trial(5000), pattern: [{ ...small, where: german }, large(5000)] }
    say(control("domestic", 3, domestic), control("trial", 1, trial(5000)))
    pay("a", 1)
    const node = patternsOf(driver.plan.nodes)
    const { read } = node
    const said = (): readonly object[] => driver.values<Patterns.Reply>(patterns.replies).map(reply => ({ ...reply }))

    const { country: _, ...fields } = Payment.fields
    const withoutCountry = Pipeline.make("fraud")
      .from(Source.kafka("payments", Schema.Struct(fields), { key: "account", eventTime: p => p.at }))
      .keyBy(p => p.account)
      .matchDynamic("fraud", patterns)
      .to(Sink.kafka("alerts", Patterns.matchOf(Schema.Struct(fields))))
    Object.assign(node, { read: patternsOf(toPlan(withoutCountry).nodes).read })
    driver.restore()
    const request = expect.stringMatching(/^r/)
    const refused = { id: "domestic", version: 3, request, accepted: false, from: null }
    expect(said()).toEqual([
      {
        ...refused,
        reason:
          'version 3 was accepted by an earlier pipeline, and this one refuses it: step "small", where.field: "country" is no field of the events, which have account, cents, at. It is not looked for, and what it had under way is dropped: apply it changed, or remove it'
      }
    ])
    pay("a", 9000)
    expect(alerts()).toEqual([["trial:1", "a", "small 1", "large 9000"]])
    driver.restore()
    pay("a", 9000)
    expect(said()).toEqual([])

    // By one that accepts it again it is looked for again.
    Object.assign(node, { read })
    driver.restore()
    expect(said()).toEqual([{ ...refused, accepted: true, reason: "" }])
    pay("b", 1)
    pay("b", 9000)
    expect(alerts().map(([pattern]) => pattern)).toEqual(["domestic:3", "trial:1"])
  })

  test("stop nothing, whatever they are called and however large or deep they are", () => {
    const { pay, say, alerts } = driving()
    const called = (name: string) => ({ pattern: [{ ...small, name }] })
    const nested = (depth: number): object => (depth === 0 ? small.where : { not: nested(depth - 1) })
    const deep = `{"pattern":[{"name":"a","where":${'{"not":'.repeat(50_000)}{}${"}".repeat(50_000)}}]}`
    expect(
      say(
        control("named", 1, called("constructor")),
        control("proto", 1, '{"pattern":[{"name":"__proto__"}]}'),
        control("many", 1, { pattern: [{ ...small, times: { from: 1_000_000_000, to: 1_000_000_000 } }] }),
        control("nested", 1, { pattern: [{ name: "a", where: nested(200) }] }),
        control("deep", 1, deep)
      )
    ).toEqual([
      "accepted",
      Number.NEGATIVE_INFINITY,
      '"__proto__" is a reserved name: call the step something else',
      expect.stringMatching(/^"small" comes to more than 100000 states/),
      expect.stringMatching(/^the pattern: lists and objects stand in each other more than 100 times/),
      expect.any(String)
    ])
    pay("a", 1)
    expect(alerts()).toEqual([["named:1", "a", "constructor 1"]])
  })

  test("look at fields of events that were taken before, and what timed out goes to its own stream", () => {
    const { driver, pay, say, alerts } = driving()
    const elsewhere = { iterative: { last: "first", field: "country", op: "!=", than: "previous" } }
    const pattern = [{ name: "first" }, { name: "second", contiguity: "next", where: elsewhere }]
    say(control("two", 1, { pattern, within: { ms: 5000, type: "first-and-last" }, skip: { type: "past-last" } }))
    pay("a", 1, "DE")
    pay("a", 2, "DE")
    pay("a", 3, "FR")
    expect(alerts()).toEqual([["two:1", "a", "first 2", "second 3"]])
    pay("b", 4)
    driver.watermark(1_000_000)
    expect(driver.values("missed")).toMatchObject([{ pattern: "two", key: "b" }])
  })
})
