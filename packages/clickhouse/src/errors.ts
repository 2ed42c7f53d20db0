import { Effect, Schema } from "effect"

/** No answer, or an answer that says that later may be better: the same call is repeated until it succeeds. */
export class Unavailable extends Schema.TaggedError<Unavailable>()("Unavailable", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/** The server will refuse the same statement again: types, rights, a missing table. `code` is ClickHouse's. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  message: Schema.String,
  code: Schema.Int,
  cause: Schema.Defect()
}) {}

/** The table is not as the event schema needs it. `message` names the statement that mends it. */
export class TableMismatch extends Schema.TaggedError<TableMismatch>()("TableMismatch", { message: Schema.String }) {}

/** The event schema has a part that has no ClickHouse column. */
export class NoColumn extends Schema.TaggedError<NoColumn>()("NoColumn", { message: Schema.String }) {}

/** A record of the topic that cannot become a row. */
export class BadRecord extends Schema.TaggedError<BadRecord>()("BadRecord", {
  message: Schema.String,
  partition: Schema.Int,
  offset: Schema.Int
}) {}

/** Records of a committed plan are not in the log any more: retention or compaction has eaten them. */
export class Eaten extends Schema.TaggedError<Eaten>()("Eaten", { message: Schema.String }) {}

/** The group's offset and ClickHouse's ledger contradict each other. */
export class Diverged extends Schema.TaggedError<Diverged>()("Diverged", { message: Schema.String }) {}

/** Kafka said that a person must act. */
export class LogStopped extends Schema.TaggedError<LogStopped>()("LogStopped", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/** Kafka's client is of no more use, or its membership went to another: a sink that is started again goes on from what is committed. */
export class LogGone extends Schema.TaggedError<LogGone>()("LogGone", {
  message: Schema.String,
  cause: Schema.Defect()
}) {}

const Reason = Schema.Union([
  Unavailable,
  Refused,
  TableMismatch,
  NoColumn,
  BadRecord,
  Eaten,
  Diverged,
  LogStopped,
  LogGone
])

/** What a caller sees of the sink and of the tables. `Unavailable` never leaves the sink: it waits and goes on. */
export class ClickHouseError extends Schema.TaggedError<ClickHouseError>()("ClickHouseError", {
  table: Schema.String,
  reason: Reason
}) {
  /** A new start mends it; everything else waits for a person. */
  get passes(): boolean {
    return this.reason._tag === "LogGone"
  }

  override get message(): string {
    return `ClickHouse sink of table ${this.table}: ${this.reason.message}`
  }
}

/** Why a sink that runs ends: all but what it waits for. */
export type Stop = Refused | BadRecord | Eaten | Diverged | LogStopped | LogGone

/** Plain code that throws the reasons for which the sink stops. */
export const guarded = <A>(run: () => A): Effect.Effect<A, BadRecord | Eaten | Diverged> =>
  Effect.try({ try: run, catch: error => error as BadRecord | Eaten | Diverged })
