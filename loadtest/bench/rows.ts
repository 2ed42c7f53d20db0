// ns a row for decoding Avro and writing RowBinary, payments events: `bun loadtest/bench/rows.ts`

import { ByteWriter } from "@headrace/core"
import { columnsOf } from "../../packages/clickhouse/src/columns.ts"
import { compileRows } from "../../packages/clickhouse/src/rows.ts"
import { ScoredEvent } from "../src/scenarios/payments/schemas.ts"
import { wire } from "./wire.ts"

const ROWS = 60_000
const { decoder, bytes, starts } = wire(ROWS)
const write = compileRows(columnsOf(ScoredEvent, "scored"), decoder, "scored")
const out = new ByteWriter(16 << 20)
for (let round = 0; round < 12; round++) {
  out.clear()
  const before = performance.now()
  for (let i = 0; i < ROWS; i++)
    write(decoder.view(bytes, starts[i]!, starts[i + 1]! - starts[i]!), bytes, out, 3, i, 1_764_000_000_000)
  const ns = ((performance.now() - before) * 1e6) / ROWS
  if (round > 8)
    console.log(
      `${ns.toFixed(0)} ns a row, ${(out.length / ROWS).toFixed(0)} bytes; 60,000 rows/s take ${((ns * ROWS) / 1e7).toFixed(1)} % of a core`
    )
}
