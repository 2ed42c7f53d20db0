import type { LogError, Mark } from "@headrace/engine"
import { Effect } from "effect"
import { logError } from "./port-error.ts"
import type { FoundOffset } from "./request.ts"

/** librdkafka's word for none. */
const NO_OFFSET = -1001

/** The committed offsets that were found; undefined where there is none. An error of one partition is not none. */
export const committedOf = (
  found: readonly FoundOffset[]
): Effect.Effect<readonly (FoundOffset | undefined)[], LogError> => {
  const failed = found.find(one => one.error !== undefined)
  return failed === undefined
    ? Effect.succeed(found.map(one => (one.offset === NO_OFFSET ? undefined : one)))
    : Effect.fail(logError(`read the committed offset of ${failed.topic}/${failed.partition}`, failed.error))
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
