import { ByteWriter } from "@headrace/core"
import { Arena, Consumer, Producer } from "@headrace/kafka"
import { learn, openDecoder, openEncoder } from "../src/codecs.ts"
import { endsOf } from "../src/measure/reading.ts"
import type { KafkaAccess, RegistryAccess } from "../src/options.ts"
import { alertsDue } from "../src/scenarios/payments/due.ts"
import { riskOf } from "../src/scenarios/payments/risk.ts"
import { AccountEvent, Alert, ScoredEvent, Spend } from "../src/scenarios/payments/schemas.ts"
import { TOPICS } from "../src/scenarios/payments/topics.ts"
import { BOUND_MS, WINDOW_MS, windowStart } from "../src/scenarios/payments/windows.ts"

const STRIDE = 8

/** How the naive pipeline misbehaves: by the number of the record in its input. */
export interface Faults {
  readonly drop?: (n: number) => boolean
  readonly double?: (n: number) => boolean
  /** Leaves a payment out of its window. */
  readonly forget?: (n: number) => boolean
  /** Says nothing of an alert, or invents one beside it: by its number. */
  readonly overlook?: (n: number) => boolean
  readonly invent?: (n: number) => boolean
}

interface Window {
  readonly key: string
  readonly windowStart: number
  readonly windowEnd: number
  spent: number
  payments: number
  largest: number
}

/**
 * The payments pipeline in the plainest way: objects, maps, one thread, no transactions. What the audit is tried on,
 * since it can be told to lose and to double.
 */
export const startNaive = async (
  kafka: KafkaAccess,
  registry: RegistryAccess,
  partitions: number,
  faults: Faults = {}
) => {
  const consumer = Consumer.open({
    "bootstrap.servers": kafka.bootstrap,
    "group.id": "naive",
    "fetch.wait.max.ms": "10",
    "auto.offset.reset": "error"
  })
  const producer = Producer.open({
    "bootstrap.servers": kafka.bootstrap,
    "enable.idempotence": "true",
    "linger.ms": "2"
  })
  const decoder = await openDecoder(registry, AccountEvent, TOPICS.events)
  const outputs = await openOutputs(producer, registry)
  await consumer.assign(await endsOf(consumer, [TOPICS.events], partitions))

  const watermarks = new Float64Array(partitions).fill(Number.NEGATIVE_INFINITY)
  const windows = Array.from({ length: partitions }, () => new Map<string, Window>())
  const deeds = Array.from({ length: partitions }, () => new Map<string, AccountEvent[]>())
  let alerted = 0
  let n = 0

  const take = (event: AccountEvent, partition: number) => {
    const scored = { ...event, risk: riskOf(event) }
    if (!faults.drop?.(n)) outputs.scored(event.account, scored, partition)
    if (faults.double?.(n)) outputs.scored(event.account, scored, partition)
    if (event.kind === "payment") pay(event, partition)
    if (event.kind === "heartbeat") alert(partition)
    else if (event.at > watermarks[partition]!) remember(event, partition)
    n++
    watermarks[partition] = Math.max(watermarks[partition]!, event.at - BOUND_MS - 1)
  }
  const pay = (event: AccountEvent, partition: number) => {
    const start = windowStart(event.at)
    if (start + WINDOW_MS - 1 <= watermarks[partition]!) return outputs.late(event.account, event, partition)
    if (faults.forget?.(n)) return
    const name = `${event.account}/${start}`
    const fresh: Window = {
      key: event.account,
      windowStart: start,
      windowEnd: start + WINDOW_MS,
      spent: 0,
      payments: 0,
      largest: 0
    }
    const window = windows[partition]!.get(name) ?? fresh
    window.spent += event.cents
    window.payments++
    window.largest = Math.max(window.largest, event.cents)
    windows[partition]!.set(name, window)
  }
  const remember = (event: AccountEvent, partition: number) => {
    const others = deeds[partition]!.get(event.account)
    if (others === undefined) deeds[partition]!.set(event.account, [event])
    else others.push(event)
  }
  /** All at once, when the closing event comes. */
  const alert = (partition: number) => {
    for (const [key, events] of deeds[partition]!)
      for (const [rule, first, last] of alertsDue(events).map(name => name.split(" "))) {
        const found = { rule, key, firstId: Number(first), lastId: Number(last), at: 0 }
        if (!faults.overlook?.(alerted)) outputs.alerts(key, found, partition)
        if (faults.invent?.(alerted)) outputs.alerts(key, { ...found, lastId: found.lastId + 1 }, partition)
        alerted++
      }
    deeds[partition]!.clear()
  }
  const fire = (partition: number) => {
    for (const [name, window] of windows[partition]!) {
      if (window.windowEnd - 1 > watermarks[partition]!) continue
      outputs.spend(window.key, window, partition)
      windows[partition]!.delete(name)
    }
  }

  let stopping = false
  const loop = async () => {
    const arena = new Arena(4 << 20, 4096)
    while (!stopping) {
      const { count } = await consumer.poll(arena, 4096, 50)
      for (let i = 0; i < count; i++) {
        const [at, length] = [arena.index[i * STRIDE + 4]!, arena.index[i * STRIDE + 5]!]
        const id = decoder.schemaId(arena.bytes, at, length)
        if (!decoder.knows(id)) await learn(decoder, id)
        decoder.view(arena.bytes, at, length)
        take(decoder.materialise() as AccountEvent, arena.index[i * STRIDE + 1]!)
      }
      for (let partition = 0; partition < partitions; partition++) fire(partition)
      await outputs.send()
    }
  }
  const running = loop()
  return {
    stop: async () => {
      stopping = true
      await running
      await producer.flush(10_000)
      await producer.close()
      await consumer.close()
    }
  }
}

const openOutputs = async (producer: Producer, registry: RegistryAccess) => {
  const [scored, spend, late, alerts] = [
    await openEncoder(registry, ScoredEvent, TOPICS.scored),
    await openEncoder(registry, Spend, TOPICS.spend),
    await openEncoder(registry, AccountEvent, TOPICS.late),
    await openEncoder(registry, Alert, TOPICS.alerts)
  ]
  const out = new ByteWriter(1 << 20)
  const rows: number[] = []
  const utf8 = new TextEncoder()
  const put = (topic: string, encoder: typeof scored) => {
    const id = producer.topicId(topic)
    return (key: string, record: object, partition: number): void => {
      const bytes = utf8.encode(key)
      const keyAt = out.length
      out.copy(bytes, 0, bytes.length)
      const valueAt = out.length
      encoder.encode(record, out)
      rows.push(id, partition, keyAt, bytes.length, valueAt, out.length - valueAt, 0, 0)
    }
  }
  const send = async () => {
    const count = rows.length / STRIDE
    const arena = { bytes: out.bytes, index: Int32Array.from(rows), stamps: new Float64Array(count) }
    for (let from = 0; from < count; ) {
      from += producer.produce(arena, from, count - from)
      if (from < count) await producer.drain(50_000, 10_000)
    }
    rows.length = 0
    out.clear()
  }
  return {
    scored: put(TOPICS.scored, scored),
    spend: put(TOPICS.spend, spend),
    late: put(TOPICS.late, late),
    alerts: put(TOPICS.alerts, alerts),
    send
  }
}
