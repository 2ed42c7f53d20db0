import type { LogError, Mark } from "@headrace/engine"
import { Effect } from "effect"
import { logError } from "./port-error.ts"
import type { FoundOffset } from "./request.ts"

/** librdkafka's word for none. */
const NO_OFFSET = -1001

/** The committed offsets that were found; undefined where there is none. */
export const committedOf = (
  found: readonly FoundOffset[]
): Effect.Effect<readonly (FoundOffset | undefined)[], LogError> =>
  Effect.map(sound("committed offset", found), all => all.map(one => (one.offset === NO_OFFSET ? undefined : one)))

/** The ends of partitions that were found. */
export const endsOf = (found: readonly FoundOffset[]): Effect.Effect<readonly number[], LogError> =>
  Effect.map(sound("end", found), all => all.map(one => one.offset))

/** An error of one partition is no answer. */
const sound = (what: string, found: readonly FoundOffset[]): Effect.Effect<readonly FoundOffset[], LogError> => {
  const failed = found.find(one => one.error !== undefined)
  return failed === undefined
    ? Effect.succeed(found)
    : Effect.fail(logError(`read the ${what} of ${failed.topic}/${failed.partition}`, failed.error))
}

/** The same with what stands beside them. */
export const marksOf = (found: readonly FoundOffset[]): Effect.Effect<readonly (Mark | undefined)[], LogError> =>
  Effect.map(committedOf(found), all => all.map(one => (one === undefined ? undefined : markOf(one))))

const markOf = ({ topic, partition, offset, metadata }: FoundOffset): Mark => ({
  topic,
  partition,
  offset,
  metadata: metadata ?? ""
})
