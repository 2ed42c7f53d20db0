/** State of one number of partitions in another, as a savepoint's restore makes it. */
import {
  ByteWriter,
  ChangeSet,
  type Entry,
  type PartitionState,
  partitionOf,
  Rebuild,
  type StateDefinition,
  Survey
} from "../src/index.ts"

type Definitions = ReadonlyMap<string, StateDefinition>

/** All that a partition keeps, in order. */
export const entriesOf = (state: PartitionState): Entry[] => {
  const out = new ByteWriter()
  state.snapshot(out)
  const set = new ChangeSet()
  set.add(out.written())
  return [...set.merging().rest()]
}

/** The entries of each partition of `after`, made of those of the partitions before. */
export const rescale = (before: readonly Entry[][], after: number, definitions: Definitions): Entry[][] => {
  const survey = new Survey(before.length, after)
  before.forEach((entries, partition) => {
    reused(entries, (key, value) => survey.take(partition, key, value))
  })
  return Array.from({ length: after }, (_, partition) => rebuilt(before, new Rebuild(definitions, partition, survey)))
}

export const rebuilt = (before: readonly Entry[][], rebuild: Rebuild): Entry[] => {
  for (const parent of rebuild.parents) reused(before[parent]!, (key, value) => rebuild.take(parent, key, value))
  return [...rebuild.entries()].map(([key, value]) => [key.slice(), value.slice()])
}

/** As files hand entries over: Buffers, and other bytes in their place afterwards. */
const reused = (entries: readonly Entry[], visit: (key: Uint8Array, value: Uint8Array) => void): void => {
  for (const entry of entries) {
    const [key, value] = entry.map(bytes => Buffer.concat([Buffer.alloc(8), bytes]).subarray(8))
    visit(key!, value!)
    key!.fill(255)
    value!.fill(255)
  }
}

const utf8 = new TextEncoder()
export const placeOf = (key: string, partitions: number): number => partitionOf(utf8.encode(key), partitions)
