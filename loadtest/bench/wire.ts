import { derive, makeDecoder, makeEncoder } from "@headrace/avro"
import { ByteWriter } from "@headrace/core"
import { ScoredEvent } from "../src/scenarios/payments/schemas.ts"

/** Payments events on the wire, and what decodes them; event `i` goes from `starts[i]` to `starts[i + 1]`. */
export const wire = (count: number) => {
  const schema = derive(ScoredEvent, "ScoredEvent")
  const { decoder, learn } = makeDecoder(schema)
  learn(1, schema)
  const encoder = makeEncoder(schema, 1)
  const out = new ByteWriter(1 << 20)
  const starts: number[] = []
  for (let i = 0; i < count; i++) {
    starts.push(out.length)
    encoder.encode(eventAt(i), out)
  }
  starts.push(out.length)
  return { decoder, bytes: out.written().slice(), starts }
}

const eventAt = (i: number) => ({
  id: i * 1_000_003,
  kind: "payment",
  account: `acct-${(i * 7919) % 50_000}`,
  at: 1_764_000_000_000 + i,
  sentAt: 1_764_000_000_000.5 + i,
  cents: (i * 104_729) % 9999,
  currency: "EUR",
  merchant: `merchant-${(i * 31) % 256}`,
  country: "DE",
  channel: "card",
  device: `device-${(i * 17) % 1024}`,
  ok: true,
  risk: i % 100
})
