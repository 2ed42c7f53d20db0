// Recomputes the payments pipeline's windows from its source topic, naively, and compares them with what the pipeline
// wrote: read by Confluent's client and avsc, in which Headrace has no part. Run with Node:
//
//   node windows.mjs --bootstrap host:port --registry url [--sources payments,payments-v2]
//
// Several source topics are one stream, one after the other.
// An event that stands in payments.late counts as late, and must have been: its window had ended for the newest event
// before it in its partition. Every other payment belongs to one window. Prints one JSON object, see independent.ts.
import { parseArgs } from "node:util"
import { reader } from "./topics.mjs"

const WINDOW_MS = 10_000
const BOUND_MS = 20_000
const WRONG_LIMIT = 20
const { values: flags } = parseArgs({
  options: {
    bootstrap: { type: "string" },
    registry: { type: "string" },
    sources: { type: "string", default: "payments" }
  }
})

const readAll = reader(flags)
const late = new Set()
const wrong = []
const blame = text => {
  if (wrong.length < WRONG_LIMIT) wrong.push(text)
}
await readAll("payments.late", ({ id }) => {
  if (late.has(Number(id))) blame(`late event ${id} came twice`)
  late.add(Number(id))
})

const expected = new Map()
let newest = new Map()
let events = 0
const count = (event, partition) => {
  events++
  const at = Number(event.at)
  const start = at - (at % WINDOW_MS)
  const watermark = (newest.get(partition) ?? Number.NEGATIVE_INFINITY) - BOUND_MS - 1
  newest.set(partition, Math.max(at, newest.get(partition) ?? at))
  if (event.kind !== "payment") return
  if (late.has(Number(event.id))) {
    if (start + WINDOW_MS - 1 > watermark)
      blame(`event ${event.id} of ${at} was late, but the watermark was ${watermark}`)
    return
  }
  const name = `${event.account}/${start}`
  const sum = expected.get(name) ?? { spent: 0, payments: 0, largest: Number.NEGATIVE_INFINITY }
  sum.spent += Number(event.cents)
  sum.payments++
  sum.largest = Math.max(sum.largest, Number(event.cents))
  expected.set(name, sum)
}
for (const topic of flags.sources.split(",")) {
  newest = new Map()
  await readAll(topic, count)
}

const found = new Map()
await readAll("payments.spend", (window, _, key) => {
  const name = `${window.key}/${window.windowStart}`
  if (key !== window.key) blame(`window ${name} has the key ${key}`)
  if (found.has(name)) blame(`window ${name} came twice`)
  found.set(name, window)
})
for (const [name, sum] of expected) {
  const window = found.get(name)
  if (window === undefined) blame(`window ${name} is missing`)
  else if (
    Number(window.spent) !== sum.spent ||
    Number(window.payments) !== sum.payments ||
    Number(window.largest) !== sum.largest
  )
    blame(`window ${name} is ${JSON.stringify(window)}, expected ${JSON.stringify(sum)}`)
}
for (const name of found.keys()) if (!expected.has(name)) blame(`window ${name} has no payments`)

const rows = [...found.values()].map(({ key, windowStart, spent, payments, largest }) => [
  key,
  Number(windowStart),
  Number(spent),
  Number(payments),
  Number(largest)
])
console.log(JSON.stringify({ events, windows: found.size, late: late.size, wrong, found: rows }))
