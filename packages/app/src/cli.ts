import { resolve } from "node:path"
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { explain } from "headrace"
import { loadSettings, SETTINGS, type SettingFlag } from "./config.ts"
import { demoCommand } from "./demoCommand.ts"
import { loadtestCommand } from "./loadtestCommand.ts"
import { loadPipeline } from "./module.ts"
import { run } from "./run.ts"
import { userErrors } from "./userErrors.ts"
import { version } from "./version.ts"

const HELP: Readonly<Record<SettingFlag, readonly [metavar: string, help: string]>> = {
  app: ["name", "Prefix of groups, transactional ids and internal topics (default: the pipeline's name)"],
  instance: [
    "name",
    "Unique among the running processes of the app, the same after a restart (default: the host's name)"
  ],
  kafka: ["host:port", "Kafka brokers, several separated by commas"],
  registry: ["url", "Schema registry (Confluent's API)"],
  clickhouse: ["url", "ClickHouse over HTTP, for pipelines that fill tables"],
  database: ["name", "ClickHouse database (default: default)"],
  lanes: ["n", "Threads that process partitions (default: one for each core)"],
  "commit-interval": ["duration", 'Between transactions (default: "25 millis")'],
  checkpoints: ["dir", "Directory of checkpoints (default: under $XDG_STATE_HOME/headrace or ~/.local/state/headrace)"],
  "checkpoint-interval": ["duration", 'Between full checkpoints (default: "60 seconds")'],
  replication: ["n", "Replication factor of internal topics that are made (default: 1)"],
  host: ["address", "Where health and metrics listen (default: 127.0.0.1)"],
  port: ["port", "Port of health and metrics; 0 takes a free one (default: 7400)"]
}

const settingFlag = (name: SettingFlag) =>
  Flag.String(name).pipe(Flag.withMetavar(HELP[name][0]), Flag.withDescription(HELP[name][1]), Flag.optional)

const settingFlags = Object.fromEntries(SETTINGS.map(({ flag }) => [flag, settingFlag(flag)])) as Record<
  SettingFlag,
  Flag.Flag<Option.Option<string>>
>

const runCommand = Command.make(
  "run",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A pipeline (.ts) or a configuration (.yaml)")),
    sinks: Flag.String("sinks").pipe(
      Flag.withMetavar("all|none|table,…"),
      Flag.withDescription("ClickHouse tables that this process fills (default: all)"),
      Flag.optional
    ),
    stopWithStdin: Flag.Boolean("stop-with-stdin").pipe(
      Flag.withDescription("Stops cleanly when standard input closes: for a parent that may be killed"),
      Flag.withDefault(false)
    ),
    ...settingFlags
  },
  Effect.fnUntraced(
    function* ({ file, sinks, stopWithStdin, ...flags }) {
      if (stopWithStdin) process.stdin.once("close", () => process.kill(process.pid, "SIGTERM")).resume()
      const given = Object.entries(flags).flatMap(([name, value]) =>
        Option.isSome(value) ? [[name, value.value]] : []
      )
      const settings = yield* loadSettings(file, Object.fromEntries(given))
      yield* run(Option.isNone(sinks) ? settings : { ...settings, sinks: sinksOf(sinks.value) })
    },
    effect => userErrors(effect)
  )
).pipe(
  Command.withDescription("Runs a pipeline until it is stopped (Ctrl-C: cleanly; twice: at once)"),
  Command.withExamples([
    {
      command: "headrace run spend.ts --kafka localhost:9092 --registry http://localhost:8081",
      description: "Run a pipeline on a local cluster"
    },
    { command: "headrace run config.yaml", description: "Run what a file describes" },
    { command: "headrace run config.yaml --lanes 8 --port 0", description: "The same with other values" }
  ])
)

const sinksOf = (text: string): "all" | "none" | string[] =>
  text === "all" || text === "none" ? text : text.split(",").map(table => table.trim())

const explainCommand = Command.make(
  "explain",
  { file: Argument.String("file").pipe(Argument.withDescription("A pipeline (.ts)")) },
  Effect.fnUntraced(
    function* ({ file }) {
      const { plan, digest } = yield* loadPipeline(resolve(file))
      yield* Console.log(`${explain(plan)}\ndigest ${digest}`)
    },
    effect => userErrors(effect)
  )
).pipe(
  Command.withDescription("Prints a pipeline's plan without running it"),
  Command.withExamples([{ command: "headrace explain spend.ts", description: "What the pipeline will do" }])
)

const versionCommand = Command.make("version", {}, () => Console.log(version)).pipe(
  Command.withDescription("Prints the version")
)

const root = Command.make("headrace").pipe(
  Command.withDescription("Stream processing in TypeScript: Kafka to Kafka and ClickHouse, exactly once"),
  Command.withSubcommands([runCommand, explainCommand, loadtestCommand, demoCommand, versionCommand])
)

export const cli = Command.run(root, { version })
