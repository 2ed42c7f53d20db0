import { rmSync } from "node:fs"
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { explain, mermaid } from "headrace"
import { ConfigError } from "./config/error.ts"
import { loadSettings } from "./config/load.ts"
import { SETTINGS } from "./config/origins.ts"
import { demoCommand } from "./demoCommand.ts"
import { loadtestCommand } from "./loadtestCommand.ts"
import { loadPipeline } from "./module.ts"
import { patternCommand } from "./pattern/command.ts"
import { pipelineFile } from "./place.ts"
import { run } from "./run.ts"
import { savepointCommand } from "./savepoint/command.ts"
import { checkedId, restoreFlags, restoreOf, savepointIdFlag } from "./savepoint/flags.ts"
import { flagsOf, kafkaSetting, settingFlags } from "./settingFlags.ts"
import { userErrors } from "./userErrors.ts"
import { version } from "./version.ts"

const runCommand = Command.make(
  "run",
  {
    file: Argument.String("file").pipe(
      Argument.withDescription("A pipeline (.ts), a configuration (.yaml), or payments")
    ),
    sinks: Flag.String("sinks").pipe(
      Flag.withMetavar("all|none|table,…"),
      Flag.withDescription("ClickHouse tables that this process fills (default: all)"),
      Flag.optional
    ),
    stopWithStdin: Flag.Boolean("stop-with-stdin").pipe(
      Flag.withDescription("Stops cleanly when standard input closes without a word: for a parent that may be killed"),
      Flag.withDefault(false)
    ),
    takeover: Flag.String("takeover").pipe(
      Flag.withMetavar("url"),
      Flag.withDescription("Takes the place of the process that serves there, once it has followed its state"),
      Flag.optional
    ),
    scratch: Flag.String("scratch").pipe(
      Flag.withMetavar("dir"),
      Flag.withDescription("Removed when it was told to stop: for what belongs to this run alone"),
      Flag.optional
    ),
    fromSavepoint: Flag.String("from-savepoint").pipe(
      Flag.withMetavar("id"),
      Flag.withDescription("Starts from a savepoint; a job that did so before goes on from its own state"),
      Flag.optional
    ),
    ...restoreFlags,
    stopWithSavepoint: Flag.Boolean("stop-with-savepoint").pipe(
      Flag.withDescription(
        "Ends when what the topics hold at the start is processed, with a savepoint, and prints its id"
      ),
      Flag.withDefault(false)
    ),
    drain: Flag.Boolean("drain").pipe(
      Flag.withDescription("Before that all windows and timers fire: for good, nothing can go on from there"),
      Flag.withDefault(false)
    ),
    id: savepointIdFlag,
    kafkaSetting,
    ...settingFlags(SETTINGS.map(({ flag }) => flag))
  },
  Effect.fnUntraced(
    function* ({
      file,
      sinks,
      stopWithStdin,
      takeover,
      scratch,
      fromSavepoint,
      stopWithSavepoint,
      drain,
      id,
      ...rest
    }) {
      const { allowNonRestoredState, force, source, sourceOffsets, ...flags } = rest
      const savepointId = yield* checkedId(id)
      if ((drain || savepointId !== undefined) && !stopWithSavepoint)
        return yield* new ConfigError({ message: "--drain and --id belong to --stop-with-savepoint" })
      if (Option.isSome(takeover) && (stopWithSavepoint || Option.isSome(fromSavepoint)))
        return yield* new ConfigError({
          message: "--takeover goes on from the state of a running process: no savepoint"
        })
      if (stopWithStdin) yield* stopWithParent
      if (Option.isSome(scratch)) removeAtEnd(scratch.value)
      const settings = yield* loadSettings(file, flagsOf(flags))
      yield* run(Option.isNone(sinks) ? settings : { ...settings, sinks: sinksOf(sinks.value) }, {
        from: Option.getOrUndefined(
          Option.map(fromSavepoint, one => restoreOf(one, { allowNonRestoredState, force, source, sourceOffsets }))
        ),
        bounded: stopWithSavepoint ? { id: savepointId, stop: true, drain } : undefined,
        predecessor: Option.getOrUndefined(takeover)
      })
    },
    effect => userErrors(Effect.scoped(effect))
  )
).pipe(
  Command.withDescription("Runs a pipeline until it is stopped (Ctrl-C: cleanly; twice: at once)"),
  Command.withExamples([
    {
      command: "headrace run spend.ts --kafka localhost:9092 --registry http://localhost:8081",
      description: "Run a pipeline on a local cluster"
    },
    { command: "headrace run config.yaml", description: "Run what a file describes" },
    {
      command: "headrace run spend.ts --kafka-config client.properties",
      description: "With TLS and SASL: librdkafka's settings, one a line"
    },
    {
      command: "headrace run config.yaml --takeover http://localhost:7400 --port 7401",
      description: "A new version in the place of the running one, without a gap"
    },
    { command: "headrace run config.yaml --lanes 8 --port 0", description: "The same with other values" }
  ])
)

/** A parent that wants to be outlived says so before its end closes. A run that ends by itself does not wait for it. */
const stopWithParent = Effect.acquireRelease(
  Effect.sync(() => {
    const stop = () => process.kill(process.pid, "SIGTERM")
    process.stdin.once("close", stop).once("data", () => process.stdin.off("close", stop))
    return stop
  }),
  stop => Effect.sync(() => process.stdin.off("close", stop).destroy())
)

/**
 * Not after a failure of its own: the log in there tells why. A stop may be by force, when the broker goes first, and one that comes
 * early ends the process in the listener that interrupts: this one is before it.
 */
const removeAtEnd = (directory: string) => {
  const remove = () => rmSync(directory, { recursive: true, force: true })
  for (const signal of ["SIGINT", "SIGTERM"]) process.prependOnceListener(signal, () => process.once("exit", remove))
}

const sinksOf = (text: string): "all" | "none" | string[] =>
  text === "all" || text === "none" ? text : text.split(",").map(table => table.trim())

const explainCommand = Command.make(
  "explain",
  {
    file: Argument.String("file").pipe(Argument.withDescription("A pipeline (.ts), or payments")),
    mermaid: Flag.Boolean("mermaid").pipe(Flag.withDescription("As a Mermaid flowchart"), Flag.withDefault(false))
  },
  Effect.fnUntraced(
    function* ({ file, mermaid: drawn }) {
      const { plan, digest } = yield* loadPipeline(pipelineFile(file))
      yield* Console.log(drawn ? mermaid(plan) : `${explain(plan)}\ndigest ${digest}`)
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
  Command.withSubcommands([
    runCommand,
    explainCommand,
    savepointCommand,
    patternCommand,
    loadtestCommand,
    demoCommand,
    versionCommand
  ])
)

export const cli = Command.run(root, { version })
