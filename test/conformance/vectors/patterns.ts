import { Schema } from "effect"
import { Pattern, Pipeline, Sink, Source } from "headrace"
import { TestDriver } from "headrace-test"
import { type Case, difference, type Runner, type Variant } from "./case.ts"
import type * as PatternSpec from "./patternSpec.ts"

const Event = Schema.Struct({
  id: Schema.Number,
  key: Schema.String,
  name: Schema.String,
  value: Schema.Number,
  ts: Schema.Number
})
type Event = (typeof Event)["Type"]
type Taken = { readonly of: (step: string) => readonly Event[] }
type Where = (event: Event, taken: Taken) => boolean

// ── conditions ───────────────────────────────────────────────────────────────────────────────────────────────────

const OPERATORS: Readonly<Record<string, (a: string | number, b: string | number) => boolean>> = {
  "==": (a, b) => a === b,
  "!=": (a, b) => a !== b,
  "<": (a, b) => a < b,
  "<=": (a, b) => a <= b,
  ">": (a, b) => a > b,
  ">=": (a, b) => a >= b
}

const operator = (op: string) => {
  const compare = OPERATORS[op]
  if (compare === undefined) throw new Error(`There is no operator ${op}`)
  return compare
}

const isIterative = (spec: PatternSpec.Where): boolean =>
  spec.iterative !== undefined || [...(spec.and ?? []), ...(spec.or ?? []), ...(spec.not ? [spec.not] : [])].some(isIterative)

/** With one parameter where the event is enough: then it is asked once for each. */
const whereOf = (spec: PatternSpec.Where): Where => {
  const test = testOf(spec)
  return isIterative(spec) ? (event, taken) => test(event, taken) : ((event: Event) => test(event, NOTHING)) as Where
}

const NOTHING: Taken = { of: () => [] }

const testOf = (spec: PatternSpec.Where): Where => {
  if (spec.and !== undefined) return combined(spec.and, "every")
  if (spec.or !== undefined) return combined(spec.or, "some")
  if (spec.not !== undefined) {
    const test = testOf(spec.not)
    return (event, taken) => !test(event, taken)
  }
  if (spec.iterative !== undefined) return iterative(spec.iterative)
  const compare = operator(spec.op!)
  return event => compare(event[spec.field!], spec.value!)
}

const combined = (specs: readonly PatternSpec.Where[], how: "every" | "some"): Where => {
  const tests = specs.map(testOf)
  return (event, taken) => tests[how](test => test(event, taken))
}

const iterative = (spec: PatternSpec.Iterative): Where => {
  const compare = operator(spec.op)
  const value = spec.value ?? 0
  const current = (event: Event) => (spec.includeCurrent === true ? [event] : [])
  const of = (taken: Taken, steps: readonly string[]) => steps.flatMap(step => taken.of(step))
  if (spec.sum !== undefined)
    return (event, taken) => {
      const all = [...of(taken, spec.over!), ...current(event)]
      return compare(
        all.reduce((sum, one) => sum + (one[spec.sum!] as number), 0),
        value
      )
    }
  if (spec.count !== undefined)
    return (event, taken) => compare(of(taken, spec.count!).length + current(event).length, value)
  return (event, taken) => {
    const other = spec.last === undefined ? taken.of(spec.first!).at(0) : taken.of(spec.last).at(-1)
    return other === undefined ? (spec.ifEmpty ?? true) : compare(event[spec.field!], other[spec.field!])
  }
}

// ── patterns: the builder's methods, in the order in which the cases call them ─────────────────────────────────────────

type Built = Pattern.Pattern<Event, string>

const sequence = (elements: readonly PatternSpec.Element[]): Built =>
  elements.reduce<Built | undefined>((pattern, element) => qualified(element, followed(pattern, element)), undefined)!

const followed = (pattern: Built | undefined, element: PatternSpec.Element): Built => {
  const { name, contiguity, group } = element
  const where = element.where && whereOf(element.where)
  if (pattern === undefined) return group === undefined ? Pattern.begin(name, where as Where) : Pattern.beginGroup(sequence(group))
  if (group !== undefined) {
    if (contiguity === "next") return pattern.nextGroup(sequence(group))
    return contiguity === "followedBy" ? pattern.followedByGroup(sequence(group)) : pattern.followedByAnyGroup(sequence(group))
  }
  return pattern[contiguity!](name as never, where as never) as Built
}

const qualified = (element: PatternSpec.Element, begun: Built): Built => {
  const { times } = element
  let pattern = begun
  if (times?.from !== undefined) pattern = pattern.times(times.from, times.to)
  if (times?.oneOrMore === true) pattern = pattern.oneOrMore()
  if (times?.timesOrMore !== undefined) pattern = pattern.timesOrMore(times.timesOrMore)
  if (element.consecutive === true) pattern = pattern.consecutive()
  if (element.allowCombinations === true) pattern = pattern.allowCombinations()
  if (element.greedy === true) pattern = pattern.greedy()
  if (element.optional === true) pattern = pattern.optional()
  if (element.until !== undefined) pattern = pattern.until(whereOf(element.until))
  if (times?.withinMs !== undefined) pattern = pattern.gap(times.withinMs)
  return element.within === undefined ? pattern : timed(pattern, element.within)
}

const timed = (pattern: Built, { ms, type }: PatternSpec.Within): Built =>
  type === "first-and-last" ? pattern.within(ms) : pattern.gap(ms)

const skipping = (pattern: Built, { type, pattern: step }: PatternSpec.Spec["skip"]): Built => {
  switch (type) {
    case "no-skip":
      return pattern
    case "to-next":
      return pattern.skipToNext()
    case "past-last":
      return pattern.skipPastLast()
    case "to-first":
      return pattern.skipToFirst(step!)
    case "to-last":
      return pattern.skipToLast(step!)
    default:
      throw new Error(`There is no skip strategy ${type}`)
  }
}

const patternOf = ({ pattern, within, skip }: PatternSpec.Spec): Built => {
  const built = sequence(pattern)
  return skipping(within == null ? built : timed(built, within), skip)
}

// ── cases ────────────────────────────────────────────────────────────────────────────────────────────────────────

const Found = Schema.Struct({ key: Schema.String, ids: Schema.Array(Schema.Unknown) })

/** The ids by step, in the order of the steps' names. */
const ids = (match: Partial<Readonly<Record<string, readonly Event[]>>>) =>
  Object.entries(match)
    .map(([step, events]) => [step, events!.map(({ id }) => id)] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))

const pipelineOf = (spec: PatternSpec.Spec): Pipeline.Pipeline => {
  const { comparator } = spec
  const order = (a: Event, b: Event) => {
    const [one, other] = [a[comparator!.field], b[comparator!.field]]
    return (one < other ? -1 : one > other ? 1 : 0) * (comparator!.order === "desc" ? -1 : 1)
  }
  const matched = Pipeline.make("conformance")
    .from(Source.kafka("in", Event, { key: "key", eventTime: event => event.ts }))
    .keyBy(event => event.key)
    .match("pattern", patternOf(spec), {
      select: (match, key) => ({ key, ids: ids(match) }),
      timedOut: (partial, key) => ({ key, ids: ids(partial) }),
      late: Sink.kafka("late", Event),
      ...(comparator == null ? {} : { order })
    })
  return Pipeline.all(matched.to(Sink.kafka("out", Found)), matched.timedOut.to(Sink.kafka("timedOut", Found)))
}

type Rows = readonly { readonly key: string }[] | undefined

const rows = (all: Rows, field: "match" | "partial") =>
  (all ?? []).map(row => {
    const match = (row as unknown as Record<string, Readonly<Record<string, readonly number[]>>>)[field]!
    return { key: row.key, ids: Object.entries(match).toSorted(([a], [b]) => (a < b ? -1 : 1)) }
  })

export const cep: Runner = (one: Case, variant: Variant) => {
  const driver = new TestDriver(pipelineOf(one.spec as unknown as PatternSpec.Spec), {
    partitions: variant.partitions,
    watermarks: "manual"
  })
  for (const [i, step] of one.steps.entries()) {
    if (step.event !== undefined) driver.push("in", step.event)
    if (step.watermark !== undefined) driver.watermark(step.watermark === "max" ? "end" : step.watermark)
    const { timeouts } = step as { readonly timeouts?: Rows }
    const late = driver.values<Event>("late").map(({ id }) => id)
    const wrong =
      difference("emitted", i, driver.values("out"), rows(step.emits as Rows, "match")) ??
      difference("timed out", i, driver.values("timedOut"), rows(timeouts, "partial")) ??
      difference("late", i, late, step.late ?? [])
    if (wrong !== undefined) return wrong
    if (step.restore === true || variant.restores) driver.restore()
  }
  return undefined
}

/** Refused while it is built, by a message that says what. */
export const cepInvalid: Runner = one => {
  try {
    pipelineOf(one.spec as unknown as PatternSpec.Spec)
  } catch (error) {
    return error instanceof Error && error.name === "PatternError" ? undefined : `refused by ${String(error)}`
  }
  return "it was not refused"
}
