// Prints what patterns of the payments pipeline look at, and the alerts that it wrote: read by Confluent's client and avsc, in which
// Headrace has no part. Run with Node:
//
//   node alerts.mjs --bootstrap host:port --registry url
//
// Late events, as those of payments.late, are left out. Prints one JSON object, see independent.ts.
import { parseArgs } from "node:util"
import { reader } from "./topics.mjs"

const { values: flags } = parseArgs({ options: { bootstrap: { type: "string" }, registry: { type: "string" } } })
const readAll = reader(flags)

const late = new Set()
await readAll("payments.late", ({ id }) => late.add(Number(id)))
const deeds = []
await readAll("payments", ({ id, at, kind, account, cents, country, channel, ok }) => {
  if (!late.has(Number(id)))
    deeds.push({ id: Number(id), at: Number(at), kind, account, cents: Number(cents), country, channel, ok })
})
const alerts = []
await readAll("payments.alerts", ({ rule, firstId, lastId }, _, key) =>
  alerts.push({ rule, key, firstId: Number(firstId), lastId: Number(lastId) })
)
console.log(JSON.stringify({ deeds, alerts }))
