import type { JobConfig } from "@headrace/engine"
import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { childPipeline } from "./child.ts"
import { ConfigError } from "./config/error.ts"
import { jobOf } from "./config/job.ts"
import { loadSettings } from "./config/load.ts"
import { storeText } from "./config/store.ts"
import { loadFlags, warmUpMs } from "./loadFlags.ts"
import { nexmarkCommand } from "./nexmarkCommand.ts"
import { startPart } from "./part.ts"
import { flagsOf, kafkaSetting, settingFlags } from "./settingFlags.ts"
import { userErrors } from "./userErrors.ts"
import { isEmbedded } from "./value.ts"

const SETTINGS = [
  "kafka",
  "kafka-config",
  "registry",
  "clickhouse",
  "clickhouse-user",
  "database",
  "replication",
  "lanes",
  "checkpoints"
] as const

export const loadtestCommand = Command.make(
  "loadtest",
  {
    kafkaSetting,
    ...settingFlags(SETTINGS),
    pipeline: Flag.String("pipeline").pipe(
      Flag.withMetavar("url"),
      Flag.withDescription(
        "Measures `headrace run payments` that runs already, whose metrics are at this address, instead of one of its own"
      ),
      Flag.optional
    ),
    ...loadFlags
  },
  Effect.fnUntraced(
    function* ({ pipeline, rate, for: lasts, warmUp, threads, burst, seed, report, ...given }) {
      const flags = { rate, for: lasts, warmUp, threads, burst, seed, report }
      const { conclude, ensureTopics, loadOptions, measure } = yield* Effect.promise(() => import("./load.ts"))
      const job = jobOf(yield* loadSettings("payments", flagsOf(given)), "payments")
      if (isEmbedded(job.clickhouse?.url ?? "")) return yield* new ConfigError({ message: NOT_EMBEDDED })
      const options = loadOptions(job, flags)
      yield* ensureTopics(options)
      const url = Option.isSome(pipeline) ? pipeline.value : yield* ownPipeline(job)
      yield* conclude(yield* measure(options, warmUpMs(flags), url), report)
    },
    effect => userErrors(Effect.scoped(effect))
  )
).pipe(
  Command.withSubcommands([nexmarkCommand]),
  Command.withDescription("Runs the payments pipeline on a cluster, sends it a load, and audits what comes out"),
  Command.withExamples([
    {
      command:
        "headrace loadtest --kafka localhost:9092 --registry http://localhost:8081 --clickhouse http://localhost:8123",
      description: "60,000 events/s for a minute"
    },
    {
      command:
        "headrace loadtest --kafka localhost:9092 --registry http://localhost:8081 --rate 5000 --for 20s --report report.json",
      description: "Without ClickHouse, and the summary as JSON"
    }
  ])
)

const NOT_EMBEDDED =
  "a load test reads the tables while the pipeline fills them, and an embedded ClickHouse belongs to one process: give a server, --clickhouse http://host:8123"

/** Runs the pipeline in a process of its own while the scope lives, and answers with where its metrics are. */
const ownPipeline = Effect.fnUntraced(function* (job: JobConfig) {
  const options = { ...job, pipeline: "payments", checkpoints: storeText(job.checkpoint.store) }
  const pipeline = yield* startPart(`payments pipeline, ${job.lanes} lanes`, () => childPipeline(options))
  return pipeline.url
})
