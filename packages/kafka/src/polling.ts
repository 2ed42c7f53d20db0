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

/** What the group did, as the engine takes it. */
export const polledOf = ({ batch, events }: Fetched): Polled => ({ batch, changes: events.flatMap(changeOf) })

const changeOf = (event: ConsumerEvent): Polled["changes"] =>
  event.type === "assign" || event.type === "revoke" || event.type === "lost"
    ? [{ type: event.type, partitions: event.partitions }]
    : []
