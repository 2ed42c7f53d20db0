// Reads topics with Confluent's client and avsc, in which Headrace has no part.
import { createRequire } from "node:module"

const require = createRequire(import.meta.url)
const { KafkaConsumer } = require("@confluentinc/kafka-javascript")
const avro = require("avsc")

const connect = bootstrap =>
  new Promise((resolve, reject) => {
    const settings = {
      "bootstrap.servers": bootstrap,
      "group.id": `headrace-windows-audit-${process.pid}`,
      "isolation.level": "read_committed",
      "enable.auto.commit": false,
      "enable.partition.eof": true
    }
    const consumer = new KafkaConsumer(settings, { "auto.offset.reset": "earliest" })
    consumer.connect({ timeout: 10_000 }, (error, metadata) =>
      error ? reject(error) : resolve({ consumer, metadata })
    )
  })

const take = consumer =>
  new Promise((resolve, reject) =>
    consumer.consume(10_000, (error, messages) => (error ? reject(error) : resolve(messages)))
  )

const decoder = registry => {
  const types = new Map()
  return async value => {
    const id = value.readUInt32BE(1)
    if (!types.has(id)) {
      const answer = await fetch(`${registry}/schemas/ids/${id}`)
      types.set(id, avro.Type.forSchema(JSON.parse((await answer.json()).schema)))
    }
    return types.get(id).fromBuffer(value.subarray(5))
  }
}

/** Visits every record of a topic up to its end as it is now, in order within each partition. */
export const reader = ({ bootstrap, registry }) => {
  const decode = decoder(registry)
  return async (topic, visit) => {
    const { consumer, metadata } = await connect(bootstrap)
    const { partitions } = metadata.topics.find(({ name }) => name === topic)
    const open = new Set(partitions.map(({ id }) => id))
    consumer.on("partition.eof", ({ partition }) => open.delete(partition))
    consumer.assign(partitions.map(({ id }) => ({ topic, partition: id, offset: 0 })))
    while (open.size > 0) {
      for (const { partition, key, value } of await take(consumer)) visit(await decode(value), partition, String(key))
    }
    await new Promise(resolve => consumer.disconnect(resolve))
  }
}
