// CPU of the server for blocks as the sink sends them, and what of it is for what: `bun loadtest/bench/clickhouse.ts`

import { readFileSync } from "node:fs"
import { type ClickHouse, startClickHouse } from "@headrace/dev"
import { Effect } from "effect"
import { type Block, blockOf, PartitionRows } from "../../packages/clickhouse/src/block.ts"
import { columnsOf } from "../../packages/clickhouse/src/columns.ts"
import { compileRows } from "../../packages/clickhouse/src/rows.ts"
import { connect, type ServerShape } from "../../packages/clickhouse/src/server.ts"
import { prepareTable } from "../../packages/clickhouse/src/tables.ts"
import { makeTarget } from "../../packages/clickhouse/src/target.ts"
import { ScoredEvent } from "../src/scenarios/payments/schemas.ts"
import { wire } from "./wire.ts"

const BLOCKS = 40
/** 60,000 rows/s, a block every half second. */
const ROWS = 30_000
const PARTITIONS = 8
const TOPIC = "payments.scored"

const columns = columnsOf(ScoredEvent, "scored")
const { decoder, bytes, starts } = wire(ROWS)
const write = compileRows(columns, decoder, TOPIC)

const blockAt = (n: number, rows: number): Block =>
  blockOf(Array.from({ length: PARTITIONS }, (_, partition) => partAt(n, partition, rows / PARTITIONS)))

const partAt = (n: number, partition: number, rows: number): PartitionRows => {
  const part = new PartitionRows(partition)
  for (let row = 0; row < rows; row++) {
    const i = partition * rows + row
    const offset = n * rows + row
    const view = decoder.view(bytes, starts[i]!, starts[i + 1]! - starts[i]!)
    write(view, bytes, part.out, partition, offset, 1_764_000_000_000 + offset)
    part.added(offset, 1_764_000_000_000 + offset)
  }
  return part
}

/** In clock ticks of 10 ms, as Linux counts. */
const cpuMs = ({ pid }: ClickHouse): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10
}

interface Variant {
  readonly name: string
  readonly rows?: number
  readonly merges?: boolean
  readonly ledger?: boolean
  readonly rewrite?: (insert: string) => string
}

const VARIANTS: readonly Variant[] = [
  { name: "warming up" },
  { name: "as it is" },
  { name: "without merges", merges: false },
  { name: "without the ledger's record", ledger: false },
  { name: "without a look at the ledger", rewrite: insert => insert.replace(/WHERE _offset >= .*$/s, "") },
  { name: "8 rows", rows: PARTITIONS },
  { name: "as it is, again" }
]

const measure = Effect.fnUntraced(function* (clickhouse: ClickHouse, variant: Variant) {
  const { rows = ROWS, merges = true, ledger = true, rewrite = insert => insert } = variant
  const server = yield* connect({ url: clickhouse.url, database: "default" })
  const table = yield* prepareTable(server, `scored_${VARIANTS.indexOf(variant)}`, columns)
  if (!merges) yield* server.command(`SYSTEM STOP MERGES ${table.sql}`)
  const target = yield* makeTarget(rewriting(server, rewrite), table, columns, TOPIC)
  const before = cpuMs(clickhouse)
  for (let n = 0; n < BLOCKS; n++) {
    const block = blockAt(n, rows)
    yield* target.insert(block)
    if (ledger) yield* target.record(block.plan)
  }
  yield* merged(server)
  const ms = (cpuMs(clickhouse) - before) / BLOCKS
  const second = (ms * 1000) / rows
  console.log(
    `${variant.name.padEnd(30)} ${ms.toFixed(1).padStart(5)} ms a block, ${second.toFixed(2)} s a million rows`
  )
  yield* server.command(`DROP TABLE ${table.sql} SYNC`)
}, Effect.scoped)

const rewriting = (server: ServerShape, rewrite: (insert: string) => string): ServerShape => ({
  ...server,
  insert: (structure, statement, body) => server.insert(structure, source => rewrite(statement(source)), body)
})

/** Merges that are due begin within a second. */
const merged = Effect.fnUntraced(function* (server: ServerShape) {
  yield* Effect.sleep(1000)
  while ((yield* server.query("SELECT 1 FROM system.merges")).length > 0) yield* Effect.sleep(50)
})

const clickhouse = await startClickHouse()
try {
  for (const variant of VARIANTS) await Effect.runPromise(measure(clickhouse, variant))
} finally {
  await clickhouse.stop()
}
