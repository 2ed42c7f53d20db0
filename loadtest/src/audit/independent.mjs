// Audits a topic with a client and an Avro decoder that Headrace has no part in: Confluent's librdkafka binding and
// avsc. Run with Node (the binding loads nowhere else):
//
//   node independent.mjs --bootstrap host:port --registry url --topic payments.scored [--sent 50000,50000] [--run 7]
//
// Reads the topic read_committed from its beginning to its end and prints one JSON object:
//   records, distinct, duplicated, disordered, missing (with --sent: events of each generator thread), unreadable,
//   foreign (events of other runs, with --run), threads: [{ run, thread, distinct, lowest, highest }]
// Records without an `id` are told apart by key and windowStart. `disordered` counts records whose sequence is lower
// than one before it from the same thread with the same key. Exit code 0 unless the audit itself failed.
import { createRequire } from "node:module"
import { parseArgs } from "node:util"

const require = createRequire(import.meta.url)
const { KafkaConsumer } = require("@confluentinc/kafka-javascript")
const avro = require("avsc")

const SEQUENCES = 2 ** 36
const THREADS = 64
const CLOSING_THREAD = THREADS - 1
const QUIET_LIMIT_MS = 60_000

const { values: flags } = parseArgs({
  options: {
    bootstrap: { type: "string" },
    registry: { type: "string" },
    topic: { type: "string" },
    sent: { type: "string" },
    run: { type: "string" }
  }
})

/** What has been seen so far. */
class Count {
  records = 0
  duplicated = 0
  disordered = 0
  unreadable = 0
  foreign = 0
  #ids = new Set()
  #lastByKey = new Map()
  #threads = new Map()

  constructor(run) {
    this.run = run
  }

  add(record, key) {
    const id = record.id === undefined ? `${record.key}/${record.windowStart}` : Number(record.id)
    if (typeof id === "number" && this.#passedOver(id)) return
    this.records++
    if (this.#ids.has(id)) {
      this.duplicated++
      return
    }
    this.#ids.add(id)
    if (typeof id === "number") this.#place(id, key)
  }

  #passedOver(id) {
    if (Math.floor(id / SEQUENCES) % THREADS === CLOSING_THREAD) return true
    if (this.run === undefined || Math.floor(id / SEQUENCES / THREADS) === this.run) return false
    this.foreign++
    return true
  }

  #place(id, key) {
    const lane = Math.floor(id / SEQUENCES)
    const sequence = id % SEQUENCES
    const thread = this.#threads.get(lane) ?? {
      run: Math.floor(lane / THREADS),
      thread: lane % THREADS,
      distinct: 0,
      lowest: sequence,
      highest: sequence
    }
    thread.distinct++
    thread.lowest = Math.min(thread.lowest, sequence)
    thread.highest = Math.max(thread.highest, sequence)
    this.#threads.set(lane, thread)
    const place = `${lane}/${key}`
    const last = this.#lastByKey.get(place) ?? -1
    if (sequence < last) this.disordered++
    else this.#lastByKey.set(place, sequence)
  }

  result(sent) {
    const threads = [...this.#threads.values()]
    const expected = sent?.reduce((sum, count) => sum + count, 0)
    const { records, duplicated, disordered, unreadable, foreign } = this
    const missing = expected === undefined ? undefined : Math.max(0, expected - this.#ids.size)
    return { records, distinct: this.#ids.size, duplicated, disordered, missing, unreadable, foreign, threads }
  }
}

/** Reads Confluent's frame and the record with avsc; schemas come from the registry. */
const openDecoder = url => {
  const types = new Map()
  const fetchType = async id => {
    const answer = await fetch(`${url.replace(/\/+$/, "")}/schemas/ids/${id}`)
    if (!answer.ok) throw new Error(`the registry at ${url} does not know schema ${id}: HTTP ${answer.status}`)
    types.set(id, avro.Type.forSchema(JSON.parse((await answer.json()).schema)))
  }
  return async value => {
    const id = value.readUInt32BE(1)
    if (!types.has(id)) await fetchType(id)
    return types.get(id).fromBuffer(value.subarray(5))
  }
}

const connect = bootstrap =>
  new Promise((resolve, reject) => {
    const consumer = new KafkaConsumer(
      {
        "bootstrap.servers": bootstrap,
        "group.id": `headrace-independent-audit-${process.pid}`,
        "isolation.level": "read_committed",
        "enable.auto.commit": false,
        "enable.partition.eof": true
      },
      { "auto.offset.reset": "earliest" }
    )
    consumer.connect({ timeout: 10_000 }, (error, metadata) =>
      error ? reject(error) : resolve({ consumer, metadata })
    )
  })

const partitionsOf = (metadata, topic) => {
  const found = metadata.topics.find(({ name }) => name === topic)
  if (found === undefined || found.partitions.length === 0) throw new Error(`there is no topic ${topic}`)
  return found.partitions.map(({ id }) => id)
}

const take = (consumer, limit) =>
  new Promise((resolve, reject) =>
    consumer.consume(limit, (error, messages) => (error ? reject(error) : resolve(messages)))
  )

const audit = async ({ bootstrap, registry, topic, run, sent }) => {
  const { consumer, metadata } = await connect(bootstrap)
  const partitions = partitionsOf(metadata, topic)
  const open = new Set(partitions)
  consumer.on("partition.eof", ({ partition }) => open.delete(partition))
  consumer.assign(partitions.map(partition => ({ topic, partition, offset: 0 })))
  const decode = openDecoder(registry)
  const count = new Count(run)
  let quietSince = Date.now()
  while (open.size > 0) {
    const messages = await take(consumer, 10_000)
    if (messages.length > 0) quietSince = Date.now()
    else if (Date.now() - quietSince > QUIET_LIMIT_MS)
      throw new Error(`no end of ${topic} in sight: is a transaction open?`)
    for (const { key, value } of messages) await addTo(count, decode, key, value)
  }
  await new Promise(resolve => consumer.disconnect(resolve))
  return count.result(sent)
}

const addTo = async (count, decode, key, value) => {
  let record
  try {
    record = await decode(value)
  } catch {
    // Counted and reported: an audit goes on over what it cannot read.
    count.unreadable++
    return
  }
  count.add(record, key?.toString() ?? "")
}

const required = name => {
  if (flags[name] === undefined) throw new Error(`--${name} is missing`)
  return flags[name]
}

try {
  const result = await audit({
    bootstrap: required("bootstrap"),
    registry: required("registry"),
    topic: required("topic"),
    run: flags.run === undefined ? undefined : Number(flags.run),
    sent: flags.sent?.split(",").map(Number)
  })
  console.log(JSON.stringify(result))
} catch (error) {
  console.error(`audit failed: ${error.message}`)
  process.exit(1)
}
