import type { Step } from "@headrace/core"
import { escaped } from "./escaped.ts"
import { often } from "./match.ts"
import type { Pattern } from "./pattern.ts"

/**
 * A pattern as a Mermaid flowchart: steps in the order in which they follow each other, round where they may be left out, a
 * dashed edge to what must not come, groups in boxes.
 *
 * ```ts
 * import { Pattern } from "headrace"
 *
 * const asked = Pattern.begin("asked", (_: object) => true).notFollowedBy("answered").within("5 minutes")
 * Pattern.mermaid(asked).split("\n")[1] // => '  s0["asked"]'
 * ```
 */
export const mermaid = <A, Names extends string>(pattern: Pattern<A, Names>): string => {
  const { steps, withinMs } = pattern.done()
  const lines = new Lines()
  lines.sequence(steps, undefined, "  ")
  if (withinMs !== undefined) lines.all.push(`  within(["within ${withinMs} ms"])`)
  return ["flowchart LR", ...lines.all].join("\n")
}

const ARROWS = { next: "==>", followedBy: "-->", followedByAny: "-- any -->" } as const

class Lines {
  readonly all: string[] = []
  private count = 0

  /** Draws steps behind `before`. Returns the last one that what follows has to come after. */
  sequence(steps: readonly Step[], before: string | undefined, indent: string, entry?: Step): string | undefined {
    let last = before
    for (const [i, step] of steps.entries()) {
      const how = i === 0 && entry !== undefined ? entry.contiguity : step.contiguity
      last = step.group === undefined ? this.step(step, how, last, indent) : this.group(step, step.group, last, indent)
    }
    return last
  }

  private step(step: Step, how: Step["contiguity"], before: string | undefined, indent: string): string | undefined {
    const id = `s${this.count++}`
    const text = escaped(`${step.name}${often(step)}`)
    if (how === "notNext" || how === "notFollowedBy") {
      this.all.push(
        `${indent}${id}{{"no ${text}"}}`,
        `  ${before} -. ${how === "notNext" ? "not next" : "not"} .- ${id}`
      )
      return before
    }
    this.all.push(`${indent}${id}${step.optional === true || step.times?.from === 0 ? `("${text}")` : `["${text}"]`}`)
    if (before !== undefined && how !== undefined) this.all.push(`  ${before} ${ARROWS[how]} ${id}`)
    return id
  }

  private group(step: Step, steps: readonly Step[], before: string | undefined, indent: string): string | undefined {
    this.all.push(`${indent}subgraph g${this.count} ["${escaped(`group${often(step)}`)}"]`)
    const last = this.sequence(steps, before, `${indent}  `, step)
    this.all.push(`${indent}end`)
    return last
  }
}
