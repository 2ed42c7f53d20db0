import { describe, expect, test } from "bun:test"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { Pattern } from "headrace"
import { ByteWriter } from "../../src/bytes.ts"
import { keyed } from "../../src/key.ts"
import { END_OF_TIME, type Input } from "../../src/operator.ts"
import { keyBy } from "../../src/operators/keyBy.ts"
import { PatternMatch } from "../../src/operators/patternMatch.ts"
import { PatternError } from "../../src/pattern/check.ts"
import { blockOf } from "../../src/state/block.ts"
import { PartitionState } from "../../src/state/partition.ts"
import { merged } from "../harness.ts"
import { json as codec } from "../json.ts"

interface Event {
  readonly id: number
  readonly key: string
  readonly name: string
  readonly value: number
  readonly ts: number
}

interface Step {
  readonly event?: Event
  readonly watermark?: number | "max"
  readonly restore?: boolean
  readonly emits?: readonly { readonly key: string; readonly match: object }[]
  readonly timeouts?: readonly { readonly key: string; readonly partial: object }[]
  readonly late?: readonly number[]
}
interface Case {
  readonly name: string
  readonly kind: string
  readonly spec: unknown
  readonly steps: readonly Step[]
}

const directory = join(import.meta.dir, "../../../../test/vectors/cep")
const cases = readdirSync(directory)
  .filter(name => name.endsWith(".json"))
  .flatMap(name => JSON.parse(readFileSync(join(directory, name), "utf8")) as readonly Case[])

const ids = (match: Readonly<Record<string, readonly Event[]>>) =>
  Object.entries(match)
    .map(([step, events]) => [step, events.map(({ id }) => id)] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))

class Chain {
  readonly matches: string[] = []
  readonly timeouts: string[] = []
  readonly late: number[] = []
  readonly head: Input
  readonly state: PartitionState

  constructor(data: unknown) {
    const spec = Pattern.readSpec(data)
    const key = keyed()
    const into = (list: string[]): Input => ({
      next: record => void list.push(JSON.stringify(record)),
      watermark: () => {}
    })
    const match = new PatternMatch({
      id: "pattern",
      patterns: [
        {
          id: "pattern",
          pattern: Pattern.fromSpec(spec).done(),
          what: "test",
          select: (found: Readonly<Record<string, readonly Event[]>>, of: string) => [of, ids(found)],
          selectTimeout: (found: Readonly<Record<string, readonly Event[]>>, of: string) => [of, ids(found)]
        }
      ],
      what: "test",
      key,
      codec,
      comparator: Pattern.orderOf(spec),
      timeouts: into(this.timeouts),
      output: into(this.matches),
      late: { next: event => void this.late.push((event as Event).id), watermark: () => {} }
    })
    this.head = keyBy((event: Event) => event.key, key, match)
    this.state = new PartitionState([match])
  }

  snapshot(): Uint8Array {
    const out = new ByteWriter(16)
    this.state.snapshot(out)
    return out.written().slice()
  }
}

const rowsOf = (all: readonly object[] | undefined, field: "match" | "partial"): readonly string[] =>
  (all ?? [])
    .map(row => {
      const { key, [field]: match } = row as { key: string } & Record<
        string,
        Readonly<Record<string, readonly number[]>>
      >
      return JSON.stringify([key, Object.entries(match!).toSorted(([a], [b]) => (a < b ? -1 : 1))])
    })
    .toSorted()

const check = ({ spec, steps }: Case, everyStep: boolean): void => {
  let chain = new Chain(spec)
  let watermark = Number.NEGATIVE_INFINITY
  for (const [i, step] of steps.entries()) {
    if (step.event !== undefined) chain.head.next(step.event, step.event.ts)
    if (step.watermark !== undefined) {
      watermark = Math.max(watermark, step.watermark === "max" ? END_OF_TIME : step.watermark)
      chain.head.watermark(watermark)
    }
    expect([i, chain.matches.splice(0).toSorted()]).toEqual([i, rowsOf(step.emits, "match") as string[]])
    expect([i, chain.timeouts.splice(0).toSorted()]).toEqual([i, rowsOf(step.timeouts, "partial") as string[]])
    expect([i, chain.late.splice(0)]).toEqual([i, [...(step.late ?? [])]])
    if (!everyStep && step.restore !== true) continue
    const again = new Chain(spec)
    again.state.putBack(blockOf(merged([], [chain.snapshot()])))
    chain = again
  }
}

describe("Flink's patterns", () => {
  for (const one of cases.filter(({ kind }) => kind === "cep")) {
    test(one.name, () => check(one, false))
    test(`${one.name}, restored each step`, () => check(one, true))
  }
})

describe("Flink's malformed patterns", () => {
  for (const one of cases.filter(({ kind }) => kind === "cep-invalid"))
    test(one.name, () => {
      expect(() => new Chain(one.spec)).toThrow(PatternError)
    })
})
