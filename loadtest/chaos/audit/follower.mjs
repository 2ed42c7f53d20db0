// Follows the job's output read_committed with a client and an Avro decoder that Headrace has no part in: Confluent's
// librdkafka binding and avsc. Run with Node (the binding loads nowhere else):
//
//   node follower.mjs --bootstrap host:port --registry url --topic balances --alerts alerts --partitions 6 --accounts 1000000
//
// Prints a JSON object a line: { newest: [highest id of each partition], at: ms since the epoch, records, alerts } whenever
// records have come; `newest` and `records` are about the first topic. Each line "result N" on its input is answered by { result },
// where N events were sent, of all that is stable when it is asked:
//   missing, duplicated, disordered, wrong: ids (of each kind at most LIMIT, and how many there are in `counts`)
//   alerts: [["rule firstId lastId", times], …]: all that came
// Disordered: an id lower than one before it of the same account. Wrong: the count of movements that the record carries
// is not one more than that of the record before it of the same account, or its cents are not more.
// "open" is answered by { open: ["topic/partition", …] }: where the last stable offset is below the high watermark, that is,
// where a transaction is open. "halt" has the client stop fetching, as it does when it loses an error (see Reader).
// What is worth knowing beside all that is printed as { note }.
import { createRequire } from "node:module"
import { createInterface } from "node:readline"
import { parseArgs } from "node:util"

const require = createRequire(import.meta.url)
const { KafkaConsumer } = require("@confluentinc/kafka-javascript")
const avro = require("avsc")

const LIMIT = 100_000
const CALL_MS = 10_000
/** Messages of one call. */
const AT_ONCE = 5000
/** So long a partition may stand still although there is more to read. */
const STILL_MS = 5_000
const LOOK_MS = 20
const { values: flags } = parseArgs({
  options: Object.fromEntries(
    ["bootstrap", "registry", "topic", "alerts", "partitions", "accounts"].map(name => [name, { type: "string" }])
  )
})
const partitions = Array.from({ length: Number(flags.partitions) }, (_, partition) => partition)

/** Ids in the order in which they came, each kind with its first LIMIT. */
class Found {
  counts = { missing: 0, duplicated: 0, disordered: 0, wrong: 0 }
  missing = []
  duplicated = []
  disordered = []
  wrong = []

  note(kind, id) {
    if (this.counts[kind]++ < LIMIT) this[kind].push(id)
  }
}

/** With room for a place: the same numbers, and zeros behind them. */
const roomFor = (place, numbers) => {
  if (place < numbers.length) return numbers
  const wider = new numbers.constructor(Math.max(place + 1, numbers.length * 2))
  wider.set(numbers)
  return wider
}

/** Everything that came, against what each account's records say of one another. */
class Audit {
  newest = partitions.map(() => -1)
  /** How often all that was taken had been looked at. */
  rounds = 0
  records = 0
  found = new Found()
  /** How often each alert came. */
  alerts = new Map()
  alertCount = 0
  #accounts
  #seen = new Uint8Array(1 << 20)
  /** The highest id of each account, and one. */
  #next
  #movements
  #cents

  constructor(accounts) {
    this.#accounts = accounts
    this.#next = new Float64Array(accounts)
    this.#movements = new Uint32Array(accounts)
    this.#cents = new Float64Array(accounts)
  }

  add(partition, { id, account, movements, cents }) {
    this.records++
    if (id > this.newest[partition]) this.newest[partition] = id
    if (this.#isKnown(id)) this.found.note("duplicated", id)
    const index = this.#placeOf(account)
    if (id + 1 < this.#next[index]) this.found.note("disordered", id)
    this.#next[index] = Math.max(id + 1, this.#next[index])
    // Events carry at least one cent: a movement too many or too few shows in the cents as well.
    if (movements !== this.#movements[index] + 1 || cents <= this.#cents[index]) this.found.note("wrong", id)
    this.#movements[index] = movements
    this.#cents[index] = cents
  }

  addAlert({ rule, firstId, lastId }) {
    const name = `${rule} ${firstId} ${lastId}`
    this.alertCount++
    this.alerts.set(name, (this.alerts.get(name) ?? 0) + 1)
  }

  /** Of acct000007 the number; what is planted (plnt, run, number) stands behind all of those. */
  #placeOf(account) {
    const place = account.startsWith("plnt") ? this.#accounts + Number(account.slice(8)) : Number(account.slice(4))
    this.#next = roomFor(place, this.#next)
    this.#movements = roomFor(place, this.#movements)
    this.#cents = roomFor(place, this.#cents)
    return place
  }

  result(sent) {
    const { counts, duplicated, disordered, wrong } = this.found
    const lost = new Found()
    for (let id = 0; id < sent; id++) if (!this.#has(id)) lost.note("missing", id)
    return {
      records: this.records,
      counts: { ...counts, missing: lost.counts.missing },
      missing: lost.missing,
      duplicated,
      disordered,
      wrong,
      alerts: [...this.alerts]
    }
  }

  #has(id) {
    return ((this.#seen[id >> 3] ?? 0) & (1 << (id & 7))) !== 0
  }

  /** Marks it as seen. */
  #isKnown(id) {
    this.#seen = roomFor(id >> 3, this.#seen)
    if (this.#has(id)) return true
    this.#seen[id >> 3] |= 1 << (id & 7)
    return false
  }
}

const connect = (isolation, group, settings = {}) =>
  new Promise((resolve, reject) => {
    const consumer = new KafkaConsumer(
      {
        "bootstrap.servers": flags.bootstrap,
        "group.id": `headrace-chaos-${group}-${process.pid}`,
        "isolation.level": isolation,
        "enable.auto.commit": false,
        "fetch.wait.max.ms": 20,
        "reconnect.backoff.max.ms": 500,
        // A client can be left without some leaders when a broker comes back, until it next asks: by default after 5 minutes.
        "topic.metadata.refresh.interval.ms": 5000,
        ...settings
      },
      // A position that is not in the log would be a loss that must not pass for a gap.
      { "auto.offset.reset": "error" }
    )
    consumer.connect({ timeout: CALL_MS }, error => (error ? reject(error) : resolve(consumer)))
  })

const types = new Map()
const decode = async value => {
  const id = value.readUInt32BE(1)
  if (!types.has(id)) {
    const answer = await fetch(`${flags.registry}/schemas/ids/${id}`)
    if (!answer.ok) throw new Error(`the registry does not know schema ${id}: HTTP ${answer.status}`)
    types.set(id, avro.Type.forSchema(JSON.parse((await answer.json()).schema)))
  }
  return types.get(id).fromBuffer(value.subarray(5))
}

const take = consumer =>
  new Promise((resolve, reject) =>
    consumer.consume(AT_ONCE, (error, messages) => (error ? reject(error) : resolve(messages)))
  )

const say = line => process.stdout.write(`${JSON.stringify(line)}\n`)

/**
 * Reads all partitions from their beginning. An error that comes behind messages of the same call is lost in the binding of the
 * client, and a partition that was given up with it stands still from then on, as one does that the client knows no leader of. So
 * whether each one moves is looked at, and where one does not, although more of it was stable a look ago and all that the client
 * had was taken from it since, they go on in a new client from where they stand.
 */
class Reader {
  #places = [flags.topic, flags.alerts].flatMap(topic =>
    partitions.map(partition => ({ topic, partition, offset: 0, before: 0, stable: 0 }))
  )
  #consumer
  #still = []
  /** The client had nothing more to give at some moment since the last look. */
  #emptied = false

  async open() {
    const consumer = await connect("read_committed", "follower", { "enable.partition.eof": true })
    consumer.setDefaultConsumeTimeout(20)
    consumer.setDefaultIsTimeoutOnlyForFirstMessage(true)
    // Behind the last record stand markers.
    consumer.on("partition.eof", ({ topic, partition, offset }) => this.#move(topic, partition, offset))
    consumer.assign(this.#places.map(({ topic, partition, offset }) => ({ topic, partition, offset })))
    this.#consumer = consumer
  }

  async take() {
    if (this.#still.length > 0) await this.#replace()
    const messages = await take(this.#consumer)
    for (const { topic, partition, offset } of messages) this.#move(topic, partition, offset + 1)
    if (messages.length < AT_ONCE) this.#emptied = true
    return messages
  }

  halt() {
    this.#consumer.pause(this.#places.map(({ topic, partition }) => ({ topic, partition })))
  }

  /** Until all that is stable now has been taken. */
  async caughtUp() {
    for (const place of this.#places) {
      const end = await this.#end(place)
      while (place.offset < end) await pause(LOOK_MS)
    }
  }

  /** Of what is stable. A client that is replaced meanwhile cannot tell. */
  async #end({ topic, partition }) {
    for (;;) {
      const asked = this.#consumer
      if (asked !== undefined) {
        const end = await high(asked, topic, partition).catch(error => {
          if (asked === this.#consumer) throw error
        })
        if (end !== undefined) return end
      }
      await pause(LOOK_MS)
    }
  }

  async watch() {
    for (;;) {
      await pause(STILL_MS)
      const mayTell = this.#emptied
      this.#emptied = false
      for (const place of this.#places) await this.#look(place, mayTell)
    }
  }

  async #look(place, mayTell) {
    const { topic, partition, offset, before, stable } = place
    const asked = this.#consumer
    if (asked === undefined) return
    // While no broker answers nothing can be said.
    const end = await high(asked, topic, partition).catch(() => 0)
    // Of a new one it is too soon.
    if (asked !== this.#consumer) return
    place.stable = end
    place.before = offset
    if (mayTell && place.stable > 0 && offset === before && offset < stable)
      this.#still.push(`${topic}/${partition} at ${offset}`)
  }

  async #replace() {
    say({ note: `the auditing client stood still, and is replaced: ${this.#still.join(", ")}` })
    this.#still = []
    for (const place of this.#places) place.stable = 0
    const old = this.#consumer
    this.#consumer = undefined
    old.removeAllListeners("partition.eof")
    old.disconnect()
    // The broker may be away just now.
    while (
      !(await this.open().then(
        () => true,
        () => false
      ))
    );
  }

  #move(topic, partition, offset) {
    const place = this.#places.find(one => one.topic === topic && one.partition === partition)
    place.offset = Math.max(place.offset, offset)
  }
}

const pause = ms => new Promise(resolve => setTimeout(resolve, ms))

const follow = async (reader, audit) => {
  await reader.open()
  reader.watch().catch(die)
  for (;;) {
    const messages = await reader.take()
    const at = Date.now()
    for (const { topic, partition, value } of messages) {
      const record = await decode(value)
      if (topic === flags.alerts) audit.addAlert(record)
      else audit.add(partition, record)
    }
    audit.rounds++
    if (messages.length > 0) say({ newest: audit.newest, at, records: audit.records, alerts: audit.alertCount })
  }
}

const high = (consumer, topic, partition) =>
  new Promise((resolve, reject) =>
    consumer.queryWatermarkOffsets(topic, partition, CALL_MS, (error, offsets) =>
      error ? reject(error) : resolve(offsets.highOffset)
    )
  )

const metadata = consumer =>
  new Promise((resolve, reject) =>
    consumer.getMetadata({ timeout: CALL_MS }, (error, found) => (error ? reject(error) : resolve(found)))
  )

/** Every partition of every topic of the job: what the broker calls the end depends on who asks. */
const openTransactions = async () => {
  const [stable, all] = await Promise.all([connect("read_committed", "stable"), connect("read_uncommitted", "all")])
  const { topics } = await metadata(all)
  const open = []
  for (const { name, partitions: places } of topics.filter(topic => !topic.name.startsWith("__"))) {
    for (const { id } of places) {
      const [below, end] = [await high(stable, name, id), await high(all, name, id)]
      if (below < end) open.push(`${name}/${id}`)
    }
  }
  await Promise.all([stable, all].map(one => new Promise(resolve => one.disconnect(resolve))))
  return open
}

const resultOf = async sent => {
  await reader.caughtUp()
  // What was taken last is being looked at.
  for (const { rounds } = audit; audit.rounds === rounds; ) await pause(LOOK_MS)
  return audit.result(sent)
}

const die = error => {
  console.error(`the follower failed: ${error.stack ?? error.message ?? JSON.stringify(error)}`)
  process.exit(1)
}

const audit = new Audit(Number(flags.accounts))
const reader = new Reader()
const lines = createInterface({ input: process.stdin })
lines.on("line", line => {
  const [word, number] = line.split(" ")
  if (word === "result") resultOf(Number(number)).then(result => say({ result }), die)
  else if (word === "halt") reader.halt()
  else openTransactions().then(open => say({ open }), die)
})
lines.on("close", () => process.exit(0))
follow(reader, audit).catch(die)
