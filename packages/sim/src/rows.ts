import type { World } from "./world.ts"

export type Report = (what: string) => void
type Row = Record<string, unknown>

const text = new TextDecoder()

/** All committed records of a topic. A key stands in one partition, so that its order is the partition's. */
export const rowsOf = <A = Row>(
  world: World,
  topic: string,
  report: (what: string) => void,
  key: (row: A) => unknown
): A[] =>
  world.log.topics.get(topic)!.flatMap(partition =>
    partition.all().map(({ record }) => {
      const row = JSON.parse(text.decode(record.value)) as A
      const written = record.key === undefined ? undefined : text.decode(record.key)
      if (written !== key(row)) report(`${topic}: ${JSON.stringify(row)} has the key ${written}`)
      return row
    })
  )

export const grouped = <A>(rows: readonly A[], key: (row: A) => string): Map<string, A[]> => {
  const groups = new Map<string, A[]>()
  for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row])
  return groups
}
