import type { TopicPartition } from "../ports/log.ts"

export interface Place {
  readonly lane: number
  /** Of the instance. */
  readonly lanes: number
  /** In how many of them a copy of each partition is kept. */
  readonly copies: number
}

/**
 * The partitions of which a lane keeps a copy while it does not own them: in each instance the same, whoever else is
 * there, so that nobody has to be asked. The group's assignor knows nothing of it: only with a copy in every lane each
 * takeover finds one.
 */
export const shareOf = (
  sources: ReadonlyMap<string, number>,
  { lane, lanes, copies }: Place
): readonly TopicPartition[] =>
  [...sources].flatMap(([topic, partitions]) =>
    Array.from({ length: partitions }, (_, partition) => ({ topic, partition })).filter(
      ({ partition }) => (((lane - partition) % lanes) + lanes) % lanes < copies
    )
  )
