import { always, both, type Guard, not, type Tests } from "./automaton.ts"
import { isHead, type Place } from "./place.ts"
import type { Step } from "./spec.ts"

/** Under which conditions an event is taken or skipped at a place of a pattern. */
export class Guards {
  private readonly tests: Tests

  constructor(tests: Tests) {
    this.tests = tests
  }

  take({ step, group }: Place): Guard {
    return this.unlessUntil(this.where(step), group?.step)
  }

  /** How an event that comes before the step's first one is skipped; undefined: not at all. */
  ignore(place: Place): Guard | undefined {
    const { step, group } = place
    if (!isHead(place)) return this.skip(place, contiguityOf(step))
    return this.skip(place, group!.firstRound ? contiguityOf(group!.step) : innerOf(group!.step))
  }

  /** The same between the events of one step. */
  inner(place: Place): Guard | undefined {
    return this.skip(place, innerOf(isHead(place) ? place.group!.step : place.step))
  }

  /** What holds on the way around, unless the group has ended. */
  free({ group }: Place): Guard {
    return this.unlessUntil(always, group?.step)
  }

  /** A loop, or group, that has an end by a condition goes on only as long as that does not hold. */
  unlessUntil(guard: Guard, step: Step | undefined): Guard {
    return step?.until === undefined ? guard : both(not(this.tests.guard(step.until)), guard)
  }

  inTime(guard: Guard, { step }: Place): Guard {
    const { gapMs } = step
    return gapMs === undefined ? guard : both(asking => asking.gapMs < gapMs, guard)
  }

  private skip({ step, group }: Place, how: "strict" | "relaxed" | "any"): Guard | undefined {
    if (how === "strict") return undefined
    return this.unlessUntil(how === "any" ? always : not(this.where(step)), group?.step)
  }

  private where(step: Step): Guard {
    return step.where === undefined ? always : this.tests.guard(step.where)
  }
}

const contiguityOf = ({ contiguity }: Step): "strict" | "relaxed" | "any" => {
  if (contiguity === undefined || contiguity === "next") return "strict"
  return contiguity === "followedByAny" ? "any" : "relaxed"
}

const innerOf = ({ inner }: Step): "strict" | "relaxed" | "any" => {
  if (inner === "consecutive") return "strict"
  return inner === "combinations" ? "any" : "relaxed"
}
