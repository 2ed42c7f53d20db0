import { deleteSavepoint, listSavepoints, readSavepoint } from "@headrace/engine"
import { Console, Effect, Option } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { savepointBlobs } from "../../../../workers/services.ts"
import { ConfigError } from "../config/error.ts"
import { jobOf } from "../config/job.ts"
import { loadSettings } from "../config/load.ts"
import { SETTINGS } from "../config/origins.ts"
import { savepointsIn } from "../config/store.ts"
import { loadPipeline } from "../module.ts"
import { flagsOf, kafkaSetting, settingFlags } from "../settingFlags.ts"
import { userErrors } from "../userErrors.ts"
import { writeSavepoint } from "./ending.ts"
import { checkedId, idArgument, restoreFlags, restoreOf, savepointIdFlag } from "./flags.ts"
import { requestSavepoint } from "./request.ts"
import { restore } from "./restore.ts"
import { showList, showManifest, showRestore } from "./show.ts"

const file = Argument.String("file").pipe(
  Argument.withDescription("A pipeline (.ts), a configuration (.yaml), or payments")
)
const jobFlags = { kafkaSetting, ...settingFlags(SETTINGS.map(({ flag }) => flag)) }
const json = Flag.Boolean("json").pipe(Flag.withDescription("As JSON"), Flag.withDefault(false))
const storeFlag = settingFlags(["savepoints"])

/** The store of a command that knows no job. */
const storeOf = (given: Option.Option<string>) =>
  savepointBlobs(savepointsIn(Option.getOrUndefined(given) ?? (process.env.HEADRACE_SAVEPOINTS || undefined)))

/** The job that a file and flags describe, as `run` would run it. */
const jobFrom = Effect.fnUntraced(function* (path: string, flags: Parameters<typeof flagsOf>[0]) {
  const settings = yield* loadSettings(path, flagsOf(flags))
  Object.assign(process.env, settings.env)
  const { plan, digest } = yield* loadPipeline(settings.pipeline)
  return {
    plan,
    digest,
    job: jobOf(settings, plan.name),
    store: savepointsIn(settings.savepoint.store, settings.checkpoint.s3)
  }
})

const createCommand = Command.make(
  "create",
  {
    file: Argument.optional(file),
    id: savepointIdFlag,
    url: Flag.String("url").pipe(
      Flag.withMetavar("http://host:port"),
      Flag.withDescription("A running job, by the address that it logs: it takes the savepoint itself"),
      Flag.optional
    ),
    stop: Flag.Boolean("stop").pipe(Flag.withDescription("The job ends with it"), Flag.withDefault(false)),
    drain: Flag.Boolean("drain").pipe(
      Flag.withDescription("Before that all windows and timers fire: for good, nothing can go on from there"),
      Flag.withDefault(false)
    ),
    ...jobFlags
  },
  Effect.fnUntraced(
    function* ({ file: path, id: given, url, stop, drain, ...flags }) {
      const id = yield* checkedId(given)
      if (Option.isSome(url)) return yield* Console.log(yield* requestSavepoint(url.value, { id, stop, drain }))
      if (stop || drain)
        return yield* new ConfigError({ message: "--stop and --drain are for a running job: give its --url" })
      if (Option.isNone(path))
        return yield* new ConfigError({ message: "give the pipeline's file, or the --url of a running job" })
      const job = yield* jobFrom(path.value, flags)
      const manifest = yield* writeSavepoint({ ...job, id, drained: false })
      yield* Console.log(manifest.id)
    },
    effect => userErrors(effect)
  )
).pipe(
  Command.withDescription("Takes a savepoint of a job, whether it runs or not, and prints its id"),
  Command.withExamples([
    {
      command: "headrace savepoint create spend.ts --kafka localhost:9092 --registry http://localhost:8081",
      description: "From what is committed"
    },
    {
      command: "headrace savepoint create --url http://127.0.0.1:7400 --stop",
      description: "A running job ends with it"
    }
  ])
)

const listCommand = Command.make(
  "list",
  { json, ...storeFlag },
  Effect.fnUntraced(
    function* ({ json: asJson, savepoints }) {
      const listed = yield* Effect.provide(listSavepoints, storeOf(savepoints))
      yield* Console.log(asJson ? JSON.stringify(listed, null, 2) : showList(listed))
    },
    effect => userErrors(effect)
  )
).pipe(Command.withDescription("Lists the savepoints of a store, the oldest first"))

const inspectCommand = Command.make(
  "inspect",
  { id: idArgument, json, ...storeFlag },
  Effect.fnUntraced(
    function* ({ id, json: asJson, savepoints }) {
      const manifest = yield* Effect.provide(readSavepoint(id), storeOf(savepoints))
      yield* Console.log(asJson ? JSON.stringify(manifest, null, 2) : showManifest(manifest))
    },
    effect => userErrors(effect)
  )
).pipe(Command.withDescription("Shows operators, keys, sizes, shapes and offsets of a savepoint"))

const deleteCommand = Command.make(
  "delete",
  { id: idArgument, ...storeFlag },
  Effect.fnUntraced(
    function* ({ id, savepoints }) {
      yield* Effect.provide(deleteSavepoint(id), storeOf(savepoints))
      yield* Effect.logInfo(`deleted ${id}`)
    },
    effect => userErrors(effect)
  )
).pipe(Command.withDescription("Deletes a savepoint"))

const restoreCommand = Command.make(
  "restore",
  { id: idArgument, file, ...restoreFlags, ...jobFlags },
  Effect.fnUntraced(
    function* ({ id, file: path, allowNonRestoredState, force, source, sourceOffsets, ...flags }) {
      const { plan, job, store } = yield* jobFrom(path, flags)
      const options = restoreOf(id, { allowNonRestoredState, force, source, sourceOffsets })
      yield* Console.log(showRestore(yield* restore(plan, job, store, options)))
    },
    effect => userErrors(effect)
  )
).pipe(
  Command.withDescription("Gives a job that does not run the state of a savepoint; headrace run then goes on from it"),
  Command.withExamples([
    { command: "headrace savepoint restore spend-1 spend.ts --app spend-2 --kafka …", description: "Into a new job" },
    {
      command: "headrace savepoint restore spend-1 spend.ts --source payments=payments-v2 --source-offsets earliest",
      description: "From another topic, of any number of partitions, that holds what comes after it"
    }
  ])
)

export const savepointCommand = Command.make("savepoint").pipe(
  Command.withDescription(
    "Named, portable states of a job: for new versions of a pipeline and other numbers of partitions"
  ),
  Command.withSubcommands([createCommand, listCommand, inspectCommand, restoreCommand, deleteCommand])
)
