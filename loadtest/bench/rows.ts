// ns a row for decoding Avro and writing RowBinary, payments events: `bun loadtest/bench/rows.ts`

import { derive, makeDecoder, makeEncoder } from "@headrace/avro"
import { ByteWriter } from "@headrace/core"
import { columnsOf } from "../../packages/clickhouse/src/columns.ts"
import { compileRows } from "../../packages/clickhouse/src/rows.ts"
import { ScoredEvent } from "../src/scenarios/payments/schemas.ts"

const ROWS = 60_000
const schema = derive(ScoredEvent, "ScoredEvent")
const { decoder, learn } = makeDecoder(schema)
learn(1, schema)
const encoder = makeEncoder(schema, 1)
const wire = new ByteWriter(1 << 20)
const starts: number[] = []
for (let i = 0; i < ROWS; i++) {
  starts.push(wire.length)
  const event = {
    id: i * 1_000_003,
    kind: "payment",
    account: `acct-${i % 50_000}`,
    at: 1_764_000_000_000 + i,
    sentAt: 1_764_000_000_000.5 + i,
    cents: i % 9999,
    currency: "EUR",
    merchant: `merchant-${i % 256}`,
    country: "DE",
    channel: "card",
    device: `device-${i % 1024}`,
    ok: true,
    risk: i % 100
  }
  encoder.encode(event, wire)
}
starts.push(wire.length)
const bytes = wire.written().slice()
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
