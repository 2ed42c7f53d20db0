import { Survey } from "@headrace/core"
import { Effect } from "effect"
import type { Plan } from "headrace"
import { exchangesOf, exchangeTopics, upstreamTopics } from "../names.ts"
import { type Manifest, partitionsOf } from "./manifest.ts"
import type { Renamed } from "./match.ts"
import { type SourceRestore, surveyed } from "./sources.ts"

/**
 * How the topics between stages go on from a savepoint, in which nothing was on its way there: they are made anew, with as
 * many partitions as before, or where a source has another number than before, as many as the largest one (`most`), as for
 * a new job. `renamed`: topics between stages among them.
 */
export const restoreStages = (
  manifest: Manifest,
  plan: Plan,
  app: string,
  renamed: Renamed,
  sources: readonly SourceRestore[],
  most: number
) =>
  Effect.gen(function* () {
    const sameSources = sources.every(
      ({ before, positions }) => positions.length === partitionsOf(manifest, before).length
    )
    const counts = new Map(sources.map(({ topic, positions }) => [topic, positions.length]))
    const stages: SourceRestore[] = []
    for (const topic of exchangeTopics(plan, app)) {
      const before = [...renamed].find(([, now]) => now === topic)?.[0] ?? topic
      const size = partitionsOf(manifest, before).length
      const after = sameSources && size > 0 ? size : most
      counts.set(topic, after)
      const positions = Array.from({ length: after }, (_, partition) => ({ topic, partition, offset: 0 }))
      const same = size === 0 || (size === after && sameChannels(manifest, plan, app, topic, renamed, counts))
      const survey = same
        ? undefined
        : yield* surveyed(manifest, { topic, before, after }, new Survey(size, after, true))
      stages.push({ topic, before, positions, survey })
    }
    return stages
  })

/**
 * Whether the same partitions flow into the exchanges of a topic, in the same order: event time is kept by their numbers.
 * Else it goes on from what all of them have come to.
 */
const sameChannels = (
  manifest: Manifest,
  plan: Plan,
  app: string,
  topic: string,
  renamed: Renamed,
  counts: ReadonlyMap<string, number>
): boolean =>
  exchangesOf(plan, app, topic).every(node => {
    const was = manifest.stages?.find(({ id }) => id === node.id)?.upstream ?? []
    const before = was.map(one => [renamed.get(one) ?? one, partitionsOf(manifest, one).length])
    const now = upstreamTopics(plan, app, node).map(one => [one, counts.get(one)])
    return JSON.stringify(before) === JSON.stringify(now)
  })
