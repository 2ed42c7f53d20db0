import type { ClickHouseSinkNode, Plan } from "headrace"
import { difference } from "./difference.ts"
import { Group } from "./group.ts"
import { nameOf, type Partition } from "./log.ts"
import { Memory } from "./memory.ts"
import { SimServer } from "./server.ts"
import { Table } from "./table.ts"
import type { Marks } from "./table-log.ts"
import type { World } from "./world.ts"

/** A table of the plan, its server, and the group that fills it. */
export class Warehouse {
  readonly node: ClickHouseSinkNode
  readonly topic: readonly Partition[]
  readonly group: Group
  readonly marks: Marks = new Map()
  readonly remembered = new Memory(this.marks)
  readonly table: Table
  readonly server: SimServer

  constructor(world: World, node: ClickHouseSinkNode) {
    this.node = node
    this.topic = world.log.topics.get(node.topic)!
    this.group = new Group(world.random, this.topic)
    this.table = new Table(world.random, world.sabotage)
    this.server = new SimServer(world, this.table)
  }

  /** Every committed record stands in the table, and the ledger says so. */
  get filled(): boolean {
    return this.topic.every(partition => {
      const last = partition.all().at(-1)
      return last === undefined || (this.table.ledger.get(partition.partition) ?? 0) > last.offset
    })
  }

  /** What is doubled, lost or alien in the table, compared with the topic. */
  check(report: (what: string) => void): void {
    const found = Map.groupBy(this.table.rows, row => row._partition)
    for (const partition of this.topic) {
      const want = partition.all().map(({ offset, record }) => rowText(offset, new TextDecoder().decode(record.value)))
      const rows = (found.get(partition.partition) ?? []).toSorted((a, b) => a._offset - b._offset)
      const got = rows.map(({ _topic, _partition, _offset, _timestamp, ...event }) =>
        rowText(_offset, JSON.stringify(event))
      )
      if (JSON.stringify(got) !== JSON.stringify(want)) report(`table, ${nameOf(partition)}: ${difference(got, want)}`)
    }
  }
}

const rowText = (offset: number, event: string): string => `${offset} ${event}`

export const warehouseOf = (world: World, plan: Plan): Warehouse | undefined => {
  const node = plan.nodes.find(one => one.kind === "clickhouseSink")
  return node === undefined ? undefined : new Warehouse(world, node)
}
