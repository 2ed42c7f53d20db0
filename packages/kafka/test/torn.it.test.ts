import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { startKafka } from "@headrace/dev"
import { createTopic, fresh, fromBeginning, openConsumer, openProducer, pack, readUntil } from "./support.ts"

setDefaultTimeout(60_000)

const END_TXN = 26
const T = 15_000

/** A proxy before the broker that can keep the next EndTxn request, and its connection, to itself. */
class HoldingProxy {
  readonly server = createServer(client => this.#join(client))
  readonly sockets = new Set<Socket>()
  brokerPort = 0
  holding = false
  held = 0

  async listen(): Promise<number> {
    await new Promise<void>(resolve => this.server.listen(0, "127.0.0.1", resolve))
    return (this.server.address() as AddressInfo).port
  }

  #join(client: Socket): void {
    const broker = connect(this.brokerPort, "127.0.0.1")
    const frames = new Frames(frame => {
      if (this.holding && frame.readInt16BE(4) === END_TXN) {
        this.holding = false
        this.held++
      } else broker.write(frame)
    })
    client.on("data", data => frames.push(Buffer.from(data)))
    broker.on("data", data => client.write(data))
    for (const [one, other] of [
      [client, broker],
      [broker, client]
    ] as const) {
      this.sockets.add(one)
      one.on("error", () => other.destroy())
      one.on("close", () => {
        this.sockets.delete(one)
        other.destroy()
      })
    }
  }

  close(): void {
    for (const socket of this.sockets) socket.destroy()
    this.server.close()
  }
}

/** Kafka's requests: four bytes of length, then so many bytes. */
class Frames {
  readonly #each: (frame: Buffer) => void
  #rest = Buffer.alloc(0)

  constructor(each: (frame: Buffer) => void) {
    this.#each = each
  }

  push(data: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, data])
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readInt32BE(0)) {
      const end = 4 + this.#rest.readInt32BE(0)
      this.#each(this.#rest.subarray(0, end))
      this.#rest = this.#rest.subarray(end)
    }
  }
}

const proxy = new HoldingProxy()
let bootstrap = ""
let stop = async () => {}
beforeAll(async () => {
  const port = await proxy.listen()
  const kafka = await startKafka({ settings: { "advertised.listeners": `PLAINTEXT://127.0.0.1:${port}` } })
  proxy.brokerPort = kafka.port
  bootstrap = `127.0.0.1:${port}`
  stop = () => kafka.stop()
}, 180_000)
afterAll(async () => {
  proxy.close()
  await stop()
})

test("a commit that librdkafka had to repeat succeeds and poisons its producer", async () => {
  const topic = await createTopic(bootstrap)
  const id = fresh("tx")
  const open = () => openProducer(bootstrap, { "transactional.id": id, "socket.timeout.ms": "1000" })
  const commitOne = async (producer: ReturnType<typeof open>, value: string) => {
    producer.begin()
    producer.produce(pack([{ topic: producer.topicId(topic), value }]), 0, 1)
    await producer.flush(T)
    await producer.commit(T)
  }
  const first = open()
  await first.initTransactions(T)
  await commitOne(first, "calm")
  expect(first.poisoned).toBe(false)
  proxy.holding = true
  await commitOne(first, "torn")
  expect(proxy.held).toBe(1)
  expect(first.poisoned).toBe(true)
  await first.close()
  const second = open()
  await second.initTransactions(T)
  await commitOne(second, "mended")
  expect(second.poisoned).toBe(false)
  await second.close()
  const consumer = openConsumer(bootstrap)
  await consumer.assign(fromBeginning(topic))
  const { received } = await readUntil(consumer, all => all.length >= 3)
  expect(received.map(({ value }) => value)).toEqual(["calm", "torn", "mended"])
  await consumer.close()
})
