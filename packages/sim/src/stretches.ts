import { decodeEvent, type Event } from "./codec.ts"
import type { Partition } from "./log.ts"
import { CONTROL, OUT_OF_ORDERNESS_MS, SOURCE } from "./pipelines.ts"
import type { Life } from "./saving.ts"
import { carried, parentsOf, type Stage, type Step, type Stretch } from "./stages.ts"
import type { World } from "./world.ts"

const text = new TextDecoder()

export const isCorrupt = (value: Uint8Array): boolean => text.decode(value).startsWith("corrupt ")

export const eventsOf = (partition: Partition, from = 0, to = Number.POSITIVE_INFINITY): readonly Event[] =>
  partition.topic === CONTROL
    ? []
    : partition
        .all()
        .flatMap(({ offset, record: { value } }) =>
          offset < from || offset >= to || isCorrupt(value) ? [] : [decodeEvent(value, 0, value.length)]
        )

/** What the job read before it was saved, and behind that; or all that it read. */
export const stretchesOf = (world: World): readonly Stretch[] => {
  const { life, log, drained } = world
  const none = () => Number.NEGATIVE_INFINITY
  const all = () => Number.POSITIVE_INFINITY
  if (life === undefined) return [{ topics: log.topics, events: one => eventsOf(one), floor: none, end: all, drained }]
  const before: Stretch = {
    topics: life.topics,
    events: one => eventsOf(one, 0, life.offset(one)),
    floor: none,
    end: one => life.offset(one),
    drained: false
  }
  const floor = ({ topic, partition }: Partition): number => {
    const parents = parentsOf(life.topics.get(topic)!, partition, log.topics.get(topic)!.length)
    return Math.min(...parents.map(one => asRead(before.events(one)).watermark))
  }
  const from = (one: Partition) => (life.moved ? 0 : life.offset(one))
  return [before, { topics: log.topics, events: one => eventsOf(one, from(one)), floor, end: all, drained }]
}

/** What a savepoint that was taken beside the running job is of: the same has to have crossed. */
export const savedOf = ({ log }: World, saved: Life["offset"]): Stretch => ({
  topics: log.topics,
  events: one => eventsOf(one, 0, saved(one)),
  floor: () => Number.NEGATIVE_INFINITY,
  end: saved,
  drained: false
})

/** What the partitions of the source hold, where no stage is before the windows. */
export const sourcesOf = (stretches: readonly Stretch[]): readonly Stage[] =>
  stretches.reduce<readonly Stage[]>((before, { topics, events, floor }) => {
    const stages = topics.get(SOURCE)!.map(one => asRead(events(one), floor(one)))
    return before.length === 0 ? stages : carried(before, event => event.account, stages)
  }, [])

/** The watermark counts all events, those before the filter too; behind an asynchronous step it may only be lower. */
export const asRead = (events: readonly Event[], floor = Number.NEGATIVE_INFINITY): Stage => {
  let watermark = floor
  const steps = events.map((event): Step => {
    watermark = Math.max(watermark, event.at - OUT_OF_ORDERNESS_MS - 1)
    return { event, side: 0, watermark }
  })
  return { steps, watermark }
}
