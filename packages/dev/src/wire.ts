import { createConnection } from "node:net"

/**
 * Asks a broker for its metadata, by hand (Metadata v1 without topics), and tells whether it names at least one live
 * broker: a broker that still starts accepts connections, or answers with none. False when nobody answers in time.
 */
export function brokerAnswers(host: string, port: number, timeoutMs = 2000): Promise<boolean> {
  return new Promise(resolve => {
    const socket = createConnection({ host, port })
    let received = Buffer.alloc(0)
    const finish = (answer: boolean) => {
      socket.destroy()
      resolve(answer)
    }
    socket.setTimeout(timeoutMs, () => finish(false))
    socket.once("error", () => finish(false))
    socket.once("close", () => finish(false))
    socket.once("connect", () => socket.write(metadataRequest()))
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      // Size, correlation id, number of brokers: four bytes each.
      if (received.length >= 12) finish(received.readInt32BE(4) === correlation && received.readInt32BE(8) > 0)
    })
  })
}

const correlation = 0x68646576

function metadataRequest(): Buffer {
  const client = "headrace-dev"
  const request = Buffer.alloc(4 + 8 + 2 + client.length + 4)
  let at = request.writeInt32BE(request.length - 4, 0)
  at = request.writeInt16BE(3, at)
  at = request.writeInt16BE(1, at)
  at = request.writeInt32BE(correlation, at)
  at = request.writeInt16BE(client.length, at)
  at += request.write(client, at, "latin1")
  request.writeInt32BE(0, at)
  return request
}
