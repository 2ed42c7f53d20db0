import { Effect, Schedule } from "effect"
import type { Plan } from "headrace"
import type { JobConfig } from "../job.ts"
import { changelogName, exchangeTopics, inputTopics, sourceTopics } from "../names.ts"
import { Clients } from "../ports/clients.ts"
import { LogError } from "../ports/log.ts"
import { INTERNAL_SETTINGS } from "./topics.ts"

type Settings = Readonly<Record<string, string | null>>

/** Topics that were just made are not known to every broker yet. */
const PATIENCE = { schedule: Schedule.spaced("1 second"), times: 5 }

/**
 * Once in each process, when the topics are there: how they treat their records, for some may be older than the job. An
 * internal one that could lose records stops it, and so does a compacted topic that one of `tables` reads; a compacted source
 * is said. Where the client may not read settings that is said too, and the job goes on.
 */
export const checkTopics = (
  plan: Plan,
  job: JobConfig,
  tables: readonly { readonly table: string; readonly topic: string }[]
): Effect.Effect<void, LogError, Clients> =>
  Effect.scoped(
    Effect.gen(function* () {
      const admin = yield* Effect.flatMap(Clients, clients => clients.admin)
      const sources = sourceTopics(plan)
      const internal = [
        ...exchangeTopics(plan, job.app),
        ...inputTopics(plan, job.app).map(topic => changelogName(job.app, topic))
      ]
      const asked = new Set([...internal, ...sources, ...tables.map(({ topic }) => topic)])
      const read = yield* Effect.result(Effect.retry(admin.settings([...asked]), { ...PATIENCE, while: mayPass }))
      if (read._tag === "Failure")
        return yield* Effect.logWarning(
          `${read.failure.message} So it is not checked that no internal or table's topic is compacted or expires: ${[...asked].join(", ")}. Allow this client DESCRIBE_CONFIGS on them, or look yourself.`
        )
      const settingsOf = (topic: string): Settings => read.success.get(topic) ?? {}
      for (const topic of internal) yield* checkInternal(topic, settingsOf(topic))
      for (const { table, topic } of tables) yield* checkTable(table, topic, settingsOf(topic))
      for (const topic of sources) if (isCompacted(settingsOf(topic))) yield* Effect.logWarning(compactedSource(topic))
    })
  )

const mayPass = ({ failure }: LogError): boolean => failure !== "Stop"

const checkInternal = (topic: string, settings: Settings): Effect.Effect<void, LogError> => {
  const wrong = Object.entries(INTERNAL_SETTINGS).filter(([name, value]) => (settings[name] ?? value) !== value)
  if (wrong.length === 0) return Effect.void
  const found = wrong.map(([name]) => `${name}=${settings[name]}`).join(", ")
  const wanted = wrong.map(([name, value]) => `${name}=${value}`).join(",")
  return stop(
    `${topic} has ${found}: it would lose records that no checkpoint stands for yet, and state with them. Change it (kafka-configs --alter --topic ${topic} --add-config ${wanted}), or start under another app name.`
  )
}

const checkTable = (table: string, topic: string, settings: Settings): Effect.Effect<void, LogError> =>
  isCompacted(settings)
    ? stop(
        `${topic}, from which the table ${table} is filled, is compacted (cleanup.policy=${settings["cleanup.policy"]}): a block could not be sent again as it was, and its rows might come twice. Set its cleanup.policy to delete, or leave the table out (--sinks).`
      )
    : Effect.void

const compactedSource = (topic: string): string =>
  `${topic} is compacted: of a key's records those that are gone when it is read are never counted, so results depend on when this job runs.`

const isCompacted = (settings: Settings): boolean => settings["cleanup.policy"]?.includes("compact") ?? false

const stop = (message: string): Effect.Effect<never, LogError> => Effect.fail(new LogError("Stop", message))
