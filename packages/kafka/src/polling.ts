import type { Batch, LogError, Polled } from "@headrace/engine"
import { Effect } from "effect"
import { Arena } from "./arena.ts"
import type { Consumer, ConsumerEvent } from "./consumer.ts"
import { KafkaError } from "./error.ts"
import { attempt } from "./port-error.ts"
import { heard } from "./reports.ts"

/** Room for a poll's worth of small records; a larger one makes the arena grow. */
const ARENA_BYTES = 4 << 20

export interface Fetched {
  readonly batch: Batch
  readonly events: readonly ConsumerEvent[]
}

/**
 * Polls a consumer into two arenas in turn, since the batch before may still be worked on. Fails with what the consumer
 * cannot go on after, whether the poll or an event says so.
 */
export const polling = (consumer: Pick<Consumer, "poll">, arenaRecords: number) => {
  const arenas = [new Arena(ARENA_BYTES, arenaRecords), new Arena(ARENA_BYTES, arenaRecords)]
  let turn = 0
  const fetch = async (maxRecords: number, timeoutMs: number): Promise<Fetched> => {
    turn = 1 - turn
    const arena = arenas[turn]!
    try {
      const { count, events } = await consumer.poll(arena, Math.min(maxRecords, arenaRecords), timeoutMs)
      const { bytes, index, stamps } = arena
      return { batch: { bytes, index, stamps, count }, events }
    } catch (cause) {
      if (!(cause instanceof KafkaError) || cause.reason !== "ArenaTooSmall") throw cause
      arenas[turn] = new Arena(Math.max(cause.needed ?? 0, arena.bytes.length * 2), arenaRecords)
      return fetch(maxRecords, 0)
    }
  }
  return (what: string, maxRecords: number, timeoutMs: number): Effect.Effect<Fetched, LogError> =>
    Effect.tap(
      attempt(what, () => fetch(maxRecords, timeoutMs)),
      ({ events }) => (events.length === 0 ? Effect.void : heard(events))
    )
}

/**
 * Polls a member of a group, and says what the group did as the engine takes it. A member that is given nothing hears so by
 * the classic protocol, and has to answer; by KIP-848 it hears nothing, and is known to have joined by its epoch.
 */
export const memberPolling = (
  consumer: Pick<Consumer, "poll" | "assign" | "epoch">,
  arenaRecords: number,
  settings: Readonly<Record<string, string>>
) => {
  const poll = polling(consumer, arenaRecords)
  const tellsAll = settings["group.protocol"] !== "consumer"
  let joined = false
  const unsaid = Effect.suspend(() =>
    joined || tellsAll
      ? Effect.succeed(false)
      : attempt("read the member's epoch", async () => (await consumer.epoch()) > 0)
  )
  return (maxRecords: number, timeoutMs: number): Effect.Effect<Polled, LogError> =>
    Effect.gen(function* () {
      const { batch, events } = yield* poll("poll", maxRecords, timeoutMs)
      const heard = events.flatMap(changeOf)
      const changes = heard.length === 0 && (yield* unsaid) ? NOTHING_GIVEN : heard
      for (const { type, partitions } of changes) {
        joined = type !== "lost"
        if (type === "assign" && partitions.length === 0 && changes === heard)
          yield* attempt("assign partitions", () => consumer.assign([]))
      }
      return { batch, changes }
    })
}

const NOTHING_GIVEN: Polled["changes"] = [{ type: "assign", partitions: [] }]

const changeOf = (event: ConsumerEvent): Polled["changes"] =>
  event.type === "assign" || event.type === "revoke" || event.type === "lost"
    ? [{ type: event.type, partitions: event.partitions }]
    : []
