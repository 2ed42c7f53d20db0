import { connect, createServer, type Server, type Socket } from "node:net"

/**
 * A TCP proxy in front of a server, which can be shut: then connections are refused and those that are open break. Or it
 * turns deaf: it takes what comes, and answers nothing.
 */
export interface Gate {
  /** The server's URL by way of the gate. */
  readonly url: string
  readonly shut: () => Promise<void>
  readonly open: () => Promise<void>
  /** From now on; settles when something came that is not passed on. */
  readonly deafen: () => Promise<void>
}

/** For a server that forgets everything when it is really stopped, like the schema registry. Starts shut. */
export const gateTo = async (target: string, port: number): Promise<Gate> => {
  const { hostname, port: targetPort } = new URL(target)
  const sockets = new Set<Socket>()
  const track = (socket: Socket): Socket => {
    sockets.add(socket)
    // Either side may break when the gate is shut; the pair ends together.
    socket.on("error", () => {}).on("close", () => sockets.delete(socket))
    return socket
  }
  let server: Server | undefined
  let swallow: (() => void) | undefined
  const listen = (): Server =>
    createServer(client => {
      const upstream = track(connect(Number(targetPort), hostname))
      upstream.pipe(track(client))
      client.on("data", bytes => {
        if (swallow === undefined) upstream.write(bytes)
        else swallow()
      })
      client.on("close", () => upstream.destroy())
      upstream.on("close", () => client.destroy())
    })
  const url = new URL(target)
  url.port = String(port)
  return {
    url: url.href.replace(/\/$/, ""),
    open: async () => {
      server = listen()
      await new Promise<void>((resolve, reject) => server?.once("error", reject).listen(port, "127.0.0.1", resolve))
    },
    shut: async () => {
      const closed = new Promise(resolve => server?.close(resolve))
      for (const socket of sockets) socket.destroy()
      await closed
    },
    deafen: () =>
      new Promise(resolve => {
        swallow = resolve
      })
  }
}
