import { avroCodecs } from "@headrace/avro"
import { kafkaClients } from "@headrace/kafka"
import { Console, Effect, Layer, Option, Redacted } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { Pattern, Patterns } from "headrace"
import { loadSettings } from "../config/load.ts"
import { flagsOf, kafkaSetting, settingFlags } from "../settingFlags.ts"
import { userErrors } from "../userErrors.ts"
import { applyPattern, type ControlPlace, listPatterns, setStatus } from "./control.ts"
import { patternFile } from "./file.ts"
import { duration, file, json } from "./flags.ts"
import { requestOpen } from "./request.ts"
import { showOpen, showPatterns } from "./show.ts"
import { testCommand } from "./testCommand.ts"

const idArgument = Argument.String("id").pipe(Argument.withDescription("The pattern: see headrace pattern list"))
const id = Flag.String("id").pipe(
  Flag.withMetavar("name"),
  Flag.withDescription("The pattern's id (default: the file's name)"),
  Flag.optional
)

const topicFlags = {
  topic: Flag.String("topic").pipe(
    Flag.withMetavar("topic"),
    Flag.withDescription("The control topic, as Patterns.topic of the pipeline says")
  ),
  replies: Flag.String("replies").pipe(
    Flag.withMetavar("topic"),
    Flag.withDescription("Where it is said what became of it (default: <topic>.replies)"),
    Flag.optional
  ),
  wait: duration("wait", "How long a reply is waited for (default: 30s)").pipe(Flag.withDefault(30_000)),
  kafkaSetting,
  ...settingFlags(["kafka", "kafka-config", "registry", "replication"])
}

type TopicFlags = Parameters<typeof flagsOf>[0] & {
  readonly topic: string
  readonly replies: Option.Option<string>
  readonly wait: number
}

/** Runs what talks to a control topic, on the cluster that the flags name. */
const on = <A, E, R>(
  { topic, replies, wait, ...flags }: TopicFlags,
  run: (place: ControlPlace) => Effect.Effect<A, E, R>
) =>
  Effect.gen(function* () {
    // A pipeline is named since settings have one: it is not run.
    const { clusters, topics } = yield* loadSettings("payments", flagsOf(flags))
    const { kafka, registry } = clusters
    const auth = registry.auth === undefined ? undefined : Redacted.make(registry.auth)
    const services = Layer.merge(kafkaClients(kafka), avroCodecs({ url: registry.url, auth }))
    const place = {
      topic,
      replies: Option.getOrElse(replies, () => Patterns.topic(topic).replies),
      replication: topics.replication,
      waitMs: wait
    }
    return yield* Effect.provide(run(place), services)
  })

const listCommand = Command.make(
  "list",
  { json, ...topicFlags },
  Effect.fnUntraced(
    function* ({ json: asJson, ...flags }) {
      const listed = yield* on(flags, listPatterns)
      yield* Console.log(asJson ? JSON.stringify(listed, null, 2) : showPatterns(listed))
    },
    effect => userErrors(effect)
  )
).pipe(Command.withDescription("Lists the patterns of a control topic, and what became of the last word on each"))

const applyCommand = Command.make(
  "apply",
  { file, id, ...topicFlags },
  Effect.fnUntraced(
    function* ({ file: path, id: given, ...flags }) {
      const pattern = yield* patternFile(path, Option.getOrUndefined(given))
      const version = yield* on(flags, place => applyPattern(place, pattern.id, pattern.spec))
      yield* Console.log(`${pattern.id} version ${version} accepted`)
    },
    effect => userErrors(effect)
  )
).pipe(
  Command.withDescription("Adds or changes a pattern of a running job, and waits until it is accepted"),
  Command.withExamples([
    {
      command:
        "headrace pattern apply trial.json --topic fraud.patterns --kafka localhost:9092 --registry http://localhost:8081",
      description: "Look for the pattern trial from now on"
    }
  ])
)

const statusCommand = (name: string, status: "active" | "paused" | "removed", description: string) =>
  Command.make(
    name,
    { id: idArgument, ...topicFlags },
    Effect.fnUntraced(
      function* ({ id: pattern, ...flags }) {
        const version = yield* on(flags, place => setStatus(place, pattern, status))
        yield* Console.log(`${pattern} version ${version} ${status}`)
      },
      effect => userErrors(effect)
    )
  ).pipe(Command.withDescription(description))

const explainCommand = Command.make(
  "explain",
  {
    key: Flag.String("key").pipe(
      Flag.withMetavar("key"),
      Flag.withDescription("The key, as the pipeline's keyBy says")
    ),
    url: Flag.String("url").pipe(
      Flag.withMetavar("http://host:port"),
      Flag.withDescription("A running process of the job, by the address that it logs (several: ask each)"),
      Flag.withDefault("http://127.0.0.1:7400")
    ),
    json
  },
  Effect.fnUntraced(
    function* ({ key, url, json: asJson }) {
      const found = yield* requestOpen(url, key)
      yield* Console.log(asJson ? JSON.stringify(found, null, 2) : showOpen(key, found))
    },
    effect => userErrors(effect)
  )
).pipe(Command.withDescription("Says what patterns have under way in a key: what was taken, and what they wait for"))

const schemaCommand = Command.make("schema", {}, () => Console.log(JSON.stringify(Pattern.jsonSchema(), null, 2))).pipe(
  Command.withDescription("Prints the JSON schema of patterns")
)

const drawCommand = Command.make(
  "draw",
  { file },
  Effect.fnUntraced(
    function* ({ file: path }) {
      const { spec } = yield* patternFile(path, undefined)
      yield* Console.log(Pattern.mermaid(Pattern.fromSpec(Pattern.readSpec(JSON.parse(spec)))))
    },
    effect => userErrors(effect)
  )
).pipe(Command.withDescription("Prints a pattern as a Mermaid flowchart"))

export const patternCommand = Command.make("pattern").pipe(
  Command.withDescription("Patterns of events that a job takes up while it runs"),
  Command.withSubcommands([
    listCommand,
    applyCommand,
    statusCommand("pause", "paused", "Lets a pattern rest: it looks at no events, and what it has under way expires"),
    statusCommand("resume", "active", "Lets a pattern go on that was paused"),
    statusCommand("remove", "removed", "Takes a pattern away, with what it has under way"),
    explainCommand,
    testCommand,
    schemaCommand,
    drawCommand
  ])
)
