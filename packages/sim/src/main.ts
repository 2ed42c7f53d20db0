import { parseArgs } from "node:util"
import { type Kept, keep, keptSeeds, type Result, SABOTAGES, SHAPES, simulate } from "./index.ts"

const USAGE = `npm run sim -- --seeds 1000 [--from 1]   the seeds that failed before, then these; failures go into packages/sim/seeds.json
npm run sim -- --seed 7                  one seed, with all that happens in it
  --shape ${SHAPES.join("|")}
  --sabotage ${SABOTAGES.join("|")}
  --keep-going                           do not stop after 20 failures`

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    seed: { type: "string" },
    shape: { type: "string" },
    sabotage: { type: "string" },
    "keep-going": { type: "boolean", default: false },
    help: { type: "boolean", default: false }
  }
})

const oneOf = <A extends string>(
  name: string,
  value: string | undefined,
  known: readonly A[]
): { [key: string]: A } => {
  if (value === undefined) return {}
  const found = known.find(candidate => candidate === value)
  if (found === undefined) throw new Error(`--${name} is one of ${known.join(", ")}`)
  return { [name]: found }
}

const whole = (name: string, value: string): number => {
  if (!/^\d+$/.test(value)) throw new Error(`--${name} is a whole number, not ${value}`)
  return Number(value)
}

const fixed = { ...oneOf("shape", values.shape, SHAPES), ...oneOf("sabotage", values.sabotage, SABOTAGES) }
const MOST_FAILURES = 20

const describe = ({ seed, shape, violations, digest }: Result): string =>
  `seed ${seed} (${shape}): ${violations[0]?.slice(0, 600) ?? "fine"}, digest ${digest}`

/** All that happens in it. */
const runOne = (seed: number): boolean => {
  const result = simulate({ seed, ...fixed, print: line => console.log(line) })
  console.log(describe(result))
  return result.violations.length === 0
}

const runMany = (): boolean => {
  const from = whole("from", values.from)
  const seeds = whole("seeds", values.seeds)
  const range = Array.from({ length: seeds }, (_, i) => ({ seed: from + i, ...fixed }))
  const before = values.sabotage === undefined ? keptSeeds() : []
  const failed: Kept[] = []
  let steps = 0
  for (const options of [...before, ...range]) {
    const result = simulate(options)
    steps += result.steps
    if (result.violations.length === 0) continue
    console.log(describe(result))
    failed.push({ seed: result.seed, shape: result.shape, found: result.violations[0]!.slice(0, 200) })
    if (failed.length >= MOST_FAILURES && !values["keep-going"]) break
  }
  if (values.sabotage === undefined) keep(failed)
  console.log(`${before.length} kept seeds, ${seeds} from ${from}, ${steps} steps: ${failed.length} failed`)
  return failed.length === 0
}

if (values.help) console.log(USAGE)
else {
  const fine = values.seed === undefined ? runMany() : runOne(whole("seed", values.seed))
  process.exitCode = fine ? 0 : 1
}
