import { Tests } from "./automaton.ts"
import { compilePattern } from "./compile.ts"
import { PatternError } from "./error.ts"
import { canBePassed, isLoop, isNot, isOptional, type Pattern, type Step } from "./spec.ts"

export { PatternError }

const fail = (message: string): never => {
  throw new PatternError(message)
}

/** Names that steps may not have: Flink's own, and one by which a match cannot hold events. */
const RESERVED: readonly string[] = ["$endState$", "__proto__"]

/** Throws PatternError where a pattern is malformed, by Flink's rules, or where its automaton is too large. */
export const checkPattern = (pattern: Pattern): void => {
  checkForm(pattern)
  compilePattern(pattern, new Tests())
}

const checkForm = ({ steps, withinMs, skip }: Pattern): void => {
  const [first] = steps
  if (first === undefined) return fail("The pattern has no steps: begin it with one")
  const names = new Set<string>()
  checkSequence(steps, names)
  const last = lastOf(steps)
  const windowed = (withinMs !== undefined && withinMs > 0) || (last.gapMs !== undefined && last.gapMs > 0)
  if (last.contiguity === "notFollowedBy" && !windowed)
    fail(`"${last.name}" is not to follow, and the pattern ends with it: say within what time, by within(…)`)
  if (
    (skip.kind === "toFirst" || skip.kind === "toLast") &&
    !steps.some(step => step.name === skip.step && isOwn(step))
  )
    fail(`The skip strategy names "${skip.step}", which is no step of the pattern itself: name one outside of groups`)
  for (const step of everyStep(steps))
    if (step.gapMs !== undefined && withinMs !== undefined && step.gapMs > withinMs)
      fail(
        `"${step.name}" may come ${step.gapMs} ms after the event before it, and all of the pattern takes ${withinMs} ms: make it shorter${withinMs > 0 ? "" : ", or take the time of the pattern away, which bounds nothing"}`
      )
}

/** Whether a step takes events under its own name. */
const isOwn = (step: Step): boolean => step.group === undefined

/** The step that the pattern ends with, also as the end of a group. */
const lastOf = (steps: readonly Step[]): Step => {
  const last = steps.at(-1)!
  return last.group === undefined || last.group.length === 0 ? last : lastOf(last.group)
}

function* everyStep(steps: readonly Step[]): Generator<Step> {
  for (const step of steps) {
    yield step
    yield* everyStep(step.group ?? [])
  }
}

const checkSequence = (steps: readonly Step[], names: Set<string>): void => {
  for (const [i, step] of steps.entries()) {
    checkName(step, names)
    checkStep(step)
    const before = steps[i - 1]
    if (i === 0 && step.contiguity !== undefined)
      fail(`"${step.name}" comes first: nothing is before it that it could follow`)
    if (i > 0 && step.contiguity === undefined) fail(`"${step.name}" does not say how it follows "${before!.name}"`)
    if (before !== undefined) checkPair(before, step)
    if (step.group !== undefined) checkSequence(step.group, names)
  }
}

const checkName = (step: Step, names: Set<string>): void => {
  if (RESERVED.includes(step.name)) fail(`"${step.name}" is a reserved name: call the step something else`)
  // The name of a group is a label.
  if (step.group !== undefined) return
  if (names.has(step.name)) fail(`Two steps are called "${step.name}": give each a name of its own`)
  names.add(step.name)
}

const checkStep = (step: Step): void => {
  const { name, times, inner, greedy, optional, until } = step
  if (step.group !== undefined) checkGroup(step, step.group)
  if (isNot(step)) return checkNot(step)
  if (times !== undefined) {
    const { from, to } = times
    if (!Number.isInteger(from) || from < 0) fail(`"${name}" takes from ${from} events: make it 0 or more`)
    if (to < 1) fail(`"${name}" takes ${to} events: make it at least 1`)
    if (!Number.isInteger(to) && to !== Number.POSITIVE_INFINITY)
      fail(`"${name}" takes up to ${to} events: make it a whole number`)
    if (to < from) fail(`"${name}" takes from ${from} to ${to} events: the first number is the smaller one`)
    if (isLoop(step) && from < 1)
      fail(`"${name}" is to be there ${from} times or more: make it 1 or more, and optional`)
  }
  if (inner !== undefined && inner !== "skip" && times === undefined)
    fail(`"${name}" takes one event: ${inner} is for several, by times or oneOrMore`)
  if (greedy === true && times === undefined)
    fail(`"${name}" takes one event: greedy is for several, by times or oneOrMore`)
  if (greedy === true && inner === "combinations")
    fail(`"${name}" is greedy and allows combinations: it can be one of both`)
  if (optional === true && times?.from === 0) fail(`"${name}" may be there 0 times: it is optional already`)
  if (until !== undefined && !isLoop(step)) fail(`"${name}" has an until, which ends loops: oneOrMore or timesOrMore`)
}

const checkGroup = (step: Step, steps: readonly Step[]): void => {
  const { name, where, greedy, gapMs } = step
  if (steps.length === 0) fail(`The group "${name}" has no steps`)
  if (isLoop(step) && steps.every(canBePassed))
    fail(`The group "${name}" goes on for ever without an event: one of its steps has to be there`)
  if (where !== undefined) fail(`The group "${name}" has a condition: give it to the steps in it`)
  if (greedy === true) fail(`The group "${name}" is greedy: only steps can be`)
  if (gapMs !== undefined)
    fail(`The group "${name}" has a gap, the time between two events: give it to the steps in it`)
}

const checkNot = (step: Step): void => {
  const { name } = step
  if (step.group !== undefined) fail(`The group "${name}" is not to come: that can be said of steps only`)
  if (step.times !== undefined || (step.inner !== undefined && step.inner !== "skip") || step.greedy === true)
    fail(`"${name}" is not to come: it cannot say how often`)
  if (step.optional === true) fail(`"${name}" is not to come: it cannot be optional`)
  if (step.until !== undefined) fail(`"${name}" is not to come: it has no loop to end`)
}

const checkPair = (before: Step, step: Step): void => {
  if (isNot(step) && isOptional(before))
    fail(`"${step.name}" is not to come directly after "${before.name}", which is optional: put a step between them`)
  if (step.optional === true && before.greedy === true)
    fail(
      `"${step.name}" is optional and comes directly after "${before.name}", which is greedy: put a step between them`
    )
}
