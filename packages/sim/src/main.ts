import { parseArgs } from "node:util"
import { SABOTAGES, SHAPES, simulate } from "./index.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    shape: { type: "string" },
    sabotage: { type: "string" },
    "keep-going": { type: "boolean", default: false }
  }
})

const one = <A extends string>(name: string, value: string | undefined, known: readonly A[]): { [key: string]: A } => {
  if (value === undefined) return {}
  const found = known.find(candidate => candidate === value)
  if (found === undefined) throw new Error(`--${name} is one of ${known.join(", ")}`)
  return { [name]: found }
}
const fixed = { ...one("shape", values.shape, SHAPES), ...one("sabotage", values.sabotage, SABOTAGES) }

/** A single seed prints everything that happens; many print what failed. The exit code is 1 if anything did. */
if (values.seed !== undefined) {
  const result = simulate({ seed: Number(values.seed), ...fixed, print: line => console.log(line) })
  console.log(
    `seed ${result.seed} (${result.shape}): ${result.violations.join("\n") || "fine"}, digest ${result.digest}`
  )
  process.exitCode = result.violations.length > 0 ? 1 : 0
} else {
  const from = Number(values.from)
  const failed: number[] = []
  let steps = 0
  for (let seed = from; seed < from + Number(values.seeds); seed++) {
    const result = simulate({ seed, ...fixed })
    steps += result.steps
    if (result.violations.length === 0) continue
    failed.push(seed)
    if (failed.length <= 20) console.log(`seed ${seed} (${result.shape}): ${result.violations[0]?.slice(0, 600)}`)
    if (failed.length >= 20 && !values["keep-going"]) break
  }
  console.log(`${values.seeds} seeds from ${from}, ${steps} steps: ${failed.length} failed`)
  process.exitCode = failed.length > 0 ? 1 : 0
}
