import { avroCodecs } from "@headrace/avro"
import { kafkaClients, openTopicReader } from "@headrace/kafka"
import { Console, Effect, Layer, Option, Redacted } from "effect"
import { Command, Flag } from "effect/cli"
import type { SourceNode } from "headrace"
import { ConfigError } from "../config/error.ts"
import { loadSettings } from "../config/load.ts"
import { loadPipeline } from "../module.ts"
import { flagsOf, kafkaSetting, settingFlags } from "../settingFlags.ts"
import { userErrors } from "../userErrors.ts"
import { patternFile } from "./file.ts"
import { duration, file, json } from "./flags.ts"
import { tryOnFile } from "./recorded.ts"
import { type From, tryOnTopic } from "./replay.ts"
import { showTrial, trialJson } from "./show.ts"
import { Trial, type TrialCounts, type TrialOutput } from "./trial.ts"

const optional = (name: string, metavar: string, help: string) =>
  Flag.String(name).pipe(Flag.withMetavar(metavar), Flag.withDescription(help), Flag.optional)

/** An offset, or a time as ISO 8601 writes it. */
const fromOf = (text: string): From | undefined => {
  if (/^\d+$/.test(text)) return { offset: Number(text) }
  const time = Date.parse(text)
  return /^\d{4}-/.test(text) && !Number.isNaN(time) ? { time } : undefined
}

const flags = {
  file,
  events: optional("events", "file", "Recorded events: JSON, one a line, in the order of their arrival"),
  topic: optional("topic", "topic", "A topic that holds recorded events, in place of a file"),
  pipeline: optional("pipeline", "file", "The pipeline that reads the topic: events are decoded as by its source"),
  from: Flag.String("from").pipe(
    Flag.filterMap(
      text => Option.fromUndefinedOr(fromOf(text)),
      text => `expected an offset, or a time like 2026-11-26T10:00:00Z, got "${text}"`
    ),
    Flag.withMetavar("offset|time"),
    Flag.withDescription("Where in the topic's partitions to begin (default: with what is there first)"),
    Flag.optional
  ),
  limit: Flag.Int("limit").pipe(
    Flag.withMetavar("n"),
    Flag.withDescription("At most so many events of the topic (default: all that it holds as of now)"),
    Flag.optional
  ),
  key: optional("key", "field", "The field that events are keyed by (default: the key of the pipeline's source)"),
  time: optional("time", "field", "The field that holds event time, in ms (default: as the pipeline's source says)"),
  outOfOrderness: duration(
    "out-of-orderness",
    "How much later than a newer event one may come (default: 0s, or as the pipeline's source says)"
  ).pipe(Flag.optional),
  json,
  kafkaSetting,
  ...settingFlags(["kafka", "kafka-config", "registry"])
}

type Given = {
  readonly [F in "events" | "topic" | "pipeline" | "key" | "time"]: Option.Option<string>
} & {
  readonly from: Option.Option<From>
  readonly limit: Option.Option<number>
  readonly outOfOrderness: Option.Option<number>
} & Parameters<typeof flagsOf>[0]

type Print = (trial: Trial) => (outputs: readonly TrialOutput[]) => Effect.Effect<void>

interface Named {
  readonly id: string
  readonly spec: string
}

const onFile = Effect.fnUntraced(function* (path: string, given: Given, pattern: Named, print: Print) {
  const [key, time] = [Option.getOrUndefined(given.key), Option.getOrUndefined(given.time)]
  if (key === undefined || time === undefined)
    return yield* new ConfigError({
      message: "--events needs the fields that hold key and time: give --key and --time"
    })
  const outOfOrdernessMs = Option.getOrElse(given.outOfOrderness, () => 0)
  const trial = new Trial({ ...pattern, key })
  return yield* tryOnFile(trial, { path, time, outOfOrdernessMs }, print(trial))
})

const onTopic = Effect.fnUntraced(function* (topic: string, given: Given, pattern: Named, print: Print) {
  const { events: _e, topic: _t, pipeline, from, limit, key: field, time, outOfOrderness, ...rest } = given
  if (Option.isNone(pipeline))
    return yield* new ConfigError({ message: "--topic needs the schema of its events: give --pipeline" })
  const settings = yield* loadSettings(pipeline.value, flagsOf(rest))
  Object.assign(process.env, settings.env)
  const source = yield* sourceOf(settings.pipeline, topic)
  const key = Option.getOrUndefined(field) ?? source.key
  if (key === undefined)
    return yield* new ConfigError({ message: `the source of ${topic} does not say its key: give --key` })
  const { kafka, registry } = settings.clusters
  const auth = registry.auth === undefined ? undefined : Redacted.make(registry.auth)
  const trial = new Trial({ ...pattern, key })
  const events = {
    source,
    time: Option.getOrUndefined(time),
    outOfOrdernessMs: Option.getOrUndefined(outOfOrderness),
    from: Option.getOrElse(from, () => ({ offset: 0 })),
    limit: Option.getOrElse(limit, () => Number.POSITIVE_INFINITY)
  }
  return yield* Effect.flatMap(openTopicReader(kafka), reader => tryOnTopic(trial, reader, events, print(trial))).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(kafkaClients(kafka), avroCodecs({ url: registry.url, auth })))
  )
})

const sourceOf = Effect.fnUntraced(function* (pipeline: string, topic: string) {
  const { plan } = yield* loadPipeline(pipeline)
  const sources = plan.nodes.filter((node): node is SourceNode => node.kind === "source")
  const found = sources.find(source => source.topic === topic)
  if (found !== undefined) return found
  const known = sources.map(source => source.topic).join(", ")
  return yield* new ConfigError({ message: `${pipeline} does not read ${topic}, but ${known}` })
})

const summary = ({ events, match, timedOut, late, undecodable, unseen }: TrialCounts): string =>
  `${events} events: ${match} matches, ${timedOut} timed out, ${late} late` +
  (undecodable === 0 ? "" : `, ${undecodable} records that could not be decoded`) +
  (events === 0 || unseen.size === 0
    ? ""
    : `\nno event has the field ${[...unseen].join(", or ")}: the pattern asks about it`)

export const testCommand = Command.make(
  "test",
  flags,
  Effect.fnUntraced(
    function* ({ file: path, json: asJson, ...given }) {
      const pattern = yield* patternFile(path, undefined)
      const print: Print = trial => outputs => {
        const lines = outputs.map(one => (asJson ? trialJson(one) : showTrial(one, event => trial.timeOf(event))))
        return lines.length === 0 ? Effect.void : Console.log(lines.join("\n"))
      }
      const [events, topic] = [Option.getOrUndefined(given.events), Option.getOrUndefined(given.topic)]
      if ((events === undefined) === (topic === undefined))
        return yield* new ConfigError({ message: "say where events are recorded: --events, or --topic" })
      const counts = yield* topic === undefined
        ? onFile(events!, given, pattern, print)
        : onTopic(topic, given, pattern, print)
      yield* Console.error(summary(counts))
    },
    effect => userErrors(effect)
  )
).pipe(
  Command.withDescription("Looks for a pattern in recorded events: of a file, without a server, or of a topic"),
  Command.withExamples([
    {
      command: "headrace pattern test trial.json --events payments.jsonl --key account --time at",
      description: "What it would have found"
    },
    {
      command:
        "headrace pattern test trial.json --topic payments --pipeline spend.ts --from 2026-11-26T10:00:00Z --kafka localhost:9092 --registry http://localhost:8081",
      description: "The same, in what the topic holds since then"
    }
  ])
)
