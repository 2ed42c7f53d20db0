import { type AddressInfo, connect, createServer, type Socket } from "node:net"
import { type Kafka, startKafka } from "@headrace/dev"

/** What becomes of an answer; those behind it wait for it. */
type Passed = (answer: Buffer, request: Buffer) => Buffer | Promise<Buffer>

/**
 * A proxy before the broker that keeps the next request of a kind back, when it is told to. One whose client has given up on it
 * arrives all the same when it is let go: networks do that. And answers may come late.
 */
export class HoldingProxy {
  brokerPort = 0
  readonly #server = createServer(client => this.#join(client))
  readonly #sockets = new Set<Socket>()
  readonly #wants: (frame: Buffer) => boolean
  readonly #passed: Passed
  /** So many more are kept. */
  #holding = 0
  #kept: (() => Promise<void>)[] = []

  constructor(wants: (frame: Buffer) => boolean, passed: Passed = answer => answer) {
    this.#wants = wants
    this.#passed = passed
  }

  async listen(): Promise<number> {
    await new Promise<void>(resolve => this.#server.listen(0, "127.0.0.1", resolve))
    return (this.#server.address() as AddressInfo).port
  }

  /** Keeps the next one, or so many of them. */
  hold(most = 1): void {
    this.#holding = most
  }

  /** One is kept. */
  get held(): boolean {
    return this.#kept.length > 0
  }

  /** Lets what is kept go on, and keeps none any more. Settles when the broker has said something to that. */
  async release(): Promise<void> {
    const kept = this.#kept
    this.#holding = 0
    this.#kept = []
    await Promise.all(kept.map(one => one()))
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #join(client: Socket): void {
    const broker = connect(this.brokerPort, "127.0.0.1")
    const release = (frame: Buffer) => async () => {
      const answered = new Promise<void>(resolve => {
        broker.once("data", () => resolve())
        broker.once("close", () => resolve())
      })
      broker.write(frame)
      await answered
    }
    let isKept = false
    const asked = new Map<number, Buffer>()
    const frames = new Frames(frame => {
      asked.set(frame.readInt32BE(8), Buffer.from(frame))
      if (this.#holding > 0 && this.#wants(frame)) {
        this.#holding--
        isKept = true
        this.#kept.push(release(frame))
      } else broker.write(frame)
    })
    client.on("data", data => frames.push(Buffer.from(data)))
    let before: Promise<void> = Promise.resolve()
    const answers = new Frames(frame => {
      const answer = Buffer.from(frame)
      const request = asked.get(answer.readInt32BE(4))
      asked.delete(answer.readInt32BE(4))
      const passed = request === undefined ? answer : this.#passed(answer, request)
      before = before.then(async () => void client.write(await passed))
    })
    broker.on("data", data => answers.push(Buffer.from(data)))
    for (const [one, other] of [
      [client, broker],
      [broker, client]
    ] as const) {
      this.#sockets.add(one)
      one.on("error", () => other.destroy())
      one.on("close", () => {
        this.#sockets.delete(one)
        if (one === broker || !isKept) other.destroy()
      })
    }
  }
}

/** A broker that tells its clients to come by the proxy; `stop` ends both. */
export const startBehind = async (
  proxy: HoldingProxy
): Promise<{ readonly kafka: Kafka; readonly bootstrap: string; readonly stop: () => Promise<void> }> => {
  const bootstrap = `127.0.0.1:${await proxy.listen()}`
  const kafka = await startKafka({ settings: { "advertised.listeners": `PLAINTEXT://${bootstrap}` } })
  proxy.brokerPort = kafka.port
  const stop = () => {
    proxy.close()
    return kafka.stop()
  }
  return { kafka, bootstrap, stop }
}

/** The kind of a request. */
export const apiOf = (frame: Buffer): number => frame.readInt16BE(4)
/** Who sent it. */
export const clientOf = (frame: Buffer): string => frame.toString("utf8", 14, 14 + Math.max(0, frame.readInt16BE(12)))

/** Kafka's requests and answers: four bytes of length, then so many bytes. */
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
