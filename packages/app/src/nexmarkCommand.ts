import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { jobOf } from "./config/job.ts"
import { loadSettings } from "./config/load.ts"
import { NEXMARK_QUERIES } from "./place.ts"
import { flagsOf, kafkaSetting, settingFlags } from "./settingFlags.ts"
import { userErrors } from "./userErrors.ts"

const SETTINGS = ["kafka", "kafka-config", "registry", "replication", "lanes"] as const

const positive = (name: string, otherwise: number, description: string) =>
  Flag.Int(name).pipe(
    Flag.filter(
      n => n > 0,
      n => `expected a number above 0, got ${n}`
    ),
    Flag.withDescription(`${description} (default: ${otherwise})`),
    Flag.withDefault(otherwise)
  )

/** Some of the queries, separated by commas. */
const queriesOf = (text: string): readonly string[] | undefined => {
  const names = text.split(",").map(name => name.trim())
  return names.every(name => NEXMARK_QUERIES.includes(name)) ? names : undefined
}

/** `headrace loadtest nexmark`: as fast as it goes, where `loadtest` itself sends at a rate. */
export const nexmarkCommand = Command.make(
  "nexmark",
  {
    kafkaSetting,
    ...settingFlags(SETTINGS),
    memory: Flag.Boolean("memory").pipe(
      Flag.withDescription("Without a cluster: in one lane of this process, whose log is in memory"),
      Flag.withDefault(false)
    ),
    queries: Flag.String("queries").pipe(
      Flag.filterMap(
        text => Option.fromUndefinedOr(queriesOf(text)),
        text => `expected some of ${NEXMARK_QUERIES.join(",")}, got "${text}"`
      ),
      Flag.withMetavar("q0,q5"),
      Flag.withDescription("Which ones (default: all)"),
      Flag.withDefault(NEXMARK_QUERIES)
    ),
    events: positive("events", 1_000_000, "How many events there are of the whole stream"),
    rounds: positive("rounds", 1, "How often each query runs: the rate is the median"),
    partitions: positive("partitions", 4, "Of each topic"),
    seed: Flag.Int("seed").pipe(Flag.withDescription("The same seed makes the same events"), Flag.withDefault(1))
  },
  Effect.fnUntraced(
    function* ({ memory, queries, events, rounds, partitions, seed, ...given }) {
      const { nexmark, nexmarkInMemory } = yield* Effect.promise(() => import("./nexmark.ts"))
      if (memory) return yield* nexmarkInMemory({ queries, events, rounds, partitions, seed })
      const job = jobOf(yield* loadSettings("nexmark-q0", flagsOf(given)), "nexmark")
      yield* nexmark(job, { queries, events, rounds, partitions, seed })
    },
    effect => userErrors(effect)
  )
).pipe(
  Command.withDescription(
    "Puts Nexmark's events on a cluster, runs its queries over them, exactly once, and prints their rates"
  ),
  Command.withExamples([
    {
      command: "headrace loadtest nexmark --kafka localhost:9092 --registry http://localhost:8081 --queries q0,q5",
      description: "Two of the queries over a million events"
    },
    { command: "headrace loadtest nexmark --memory", description: "All of them, and no servers" }
  ])
)
