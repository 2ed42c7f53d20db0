import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { loadFlags } from "./loadFlags.ts"
import { userErrors } from "./userErrors.ts"
import { watch } from "./watch.ts"

const url = (name: string, help: string) =>
  Flag.String(name).pipe(Flag.withMetavar("url"), Flag.withDescription(help), Flag.optional)

export const loadtestCommand = Command.make(
  "loadtest",
  {
    kafka: Flag.String("kafka").pipe(Flag.withMetavar("host:port"), Flag.withDescription("Kafka brokers")),
    registry: Flag.String("registry").pipe(Flag.withMetavar("url"), Flag.withDescription("Schema registry")),
    settings: Flag.KeyValuePair("kafka-setting").pipe(
      Flag.withDescription("librdkafka's settings, such as security.protocol=SASL_SSL"),
      Flag.withDefault<Record<string, string>>({})
    ),
    clickhouse: url("clickhouse", "ClickHouse over HTTP; without it only Kafka is audited"),
    database: Flag.String("database").pipe(Flag.withDescription("ClickHouse database"), Flag.withDefault("default")),
    pipeline: url(
      "pipeline",
      "Where the pipeline's metrics are, like http://127.0.0.1:7400, to show commits and memory"
    ),
    ...loadFlags
  },
  Effect.fnUntraced(
    function* (flags) {
      const { conclude, drive, ensureTopics, loadOptions } = yield* Effect.promise(() => import("./load.ts"))
      const clickhouse = Option.map(flags.clickhouse, url => ({ url, database: flags.database }))
      const options = loadOptions(
        {
          kafka: { bootstrap: flags.kafka, settings: flags.settings },
          registry: { url: flags.registry },
          ...(Option.isSome(clickhouse) ? { clickhouse: clickhouse.value } : {})
        },
        flags
      )
      yield* ensureTopics(options)
      const watched = Option.isSome(flags.pipeline) ? yield* watch(flags.pipeline.value) : undefined
      const figures = watched?.figures(Number.NaN) ?? Effect.succeed(UNKNOWN)
      const summary = yield* drive({ ...options, ...(watched ? { engine: watched.snapshot } : {}) }, figures)
      yield* conclude(summary, flags.report)
    },
    effect => userErrors(Effect.scoped(effect))
  )
).pipe(
  Command.withDescription("Sends the payments load to a running pipeline and audits what comes out"),
  Command.withExamples([
    {
      command: "headrace loadtest --kafka localhost:9092 --registry http://localhost:8081 --rate 60000 --for 60s",
      description: "60,000 events/s for a minute"
    },
    {
      command:
        "headrace loadtest --kafka localhost:9092 --registry http://localhost:8081 --clickhouse http://localhost:8123 --report report.json",
      description: "Audit ClickHouse, too, and write the summary"
    }
  ])
)

/** JSON has no NaN: figures that nobody can know here become null. */
const UNKNOWN = {
  commitMs: { p50: Number.NaN, p99: Number.NaN },
  rssMb: Number.NaN,
  startupMs: Number.NaN,
  lanes: Number.NaN
}
