import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net"
import { Line, OPEN, Pipe, type Shape } from "./pipe.ts"
import type { Cutter } from "./units.ts"

/** A request that a proxy keeps back, and with it everything behind it on its connection. */
export interface Held {
  readonly request: Buffer
  /** Lets it, and what waits behind it, go on. */
  readonly forward: () => void
  /** The same; settles when the server has answered. The answer is kept from the client. */
  readonly swallowAnswer: () => Promise<void>
  /** The client sees its connection break; the server's end stays open, to be given the request later. */
  readonly detach: () => Late
}

/** A request whose client has given up on it. */
export interface Late {
  /** The server gets it now; settles when it has answered. */
  readonly release: () => Promise<void>
  readonly close: () => void
}

interface Trap {
  readonly label: string | undefined
  readonly wants: (request: Buffer) => boolean
  readonly caught: (held: Held) => void
}

/**
 * A proxy before one server, on as many ports as there are labels: it can slow the line down, stop it, break it, and
 * catch a request that goes by.
 */
export class Link {
  readonly up = new Line()
  readonly down = new Line()
  private readonly servers: Server[] = []
  private readonly connections = new Set<Connection>()
  private readonly traps = new Set<Trap>()
  private readonly watchers = new Set<(request: Buffer) => void>()
  private broken = false

  constructor(port: number, cutter: Cutter, answers: (response: Buffer, request: Buffer) => boolean) {
    this.port = port
    this.cutter = cutter
    this.answers = answers
  }
  readonly port: number
  readonly cutter: Cutter
  readonly answers: (response: Buffer, request: Buffer) => boolean

  /** A port that leads to the server; what comes by it carries this label. */
  async listen(label = "", port = 0): Promise<number> {
    const server = createServer(client => this.join(client, label))
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject)
      server.listen(port, "127.0.0.1", resolve)
    })
    this.servers.push(server)
    return (server.address() as AddressInfo).port
  }

  set(shape: Partial<Shape>): void {
    for (const line of [this.up, this.down]) line.shape = { ...line.shape, ...shape }
    for (const connection of this.connections) connection.flow()
  }

  /** All connections break, and new ones are refused, until `heal`. */
  cut(): void {
    this.broken = true
    for (const connection of this.connections) connection.close()
  }

  heal(): void {
    this.broken = false
    this.set(OPEN)
  }

  /** Catches the next request that is wanted. Give up waiting by the signal. */
  next(
    wants: (request: Buffer) => boolean,
    options: { readonly label?: string; readonly signal: AbortSignal }
  ): Promise<Held> {
    return new Promise((resolve, reject) => {
      const caught = (held: Held) => {
        this.traps.delete(trap)
        resolve(held)
      }
      const trap: Trap = { label: options.label, wants, caught }
      this.traps.add(trap)
      options.signal.addEventListener("abort", () => {
        if (this.traps.delete(trap)) reject(new Error("no such request came by in time"))
      })
    })
  }

  /** Settles when such a request has gone by; it is not held. */
  seen(wants: (request: Buffer) => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const watcher = (request: Buffer) => {
        if (!wants(request)) return
        this.watchers.delete(watcher)
        resolve()
      }
      this.watchers.add(watcher)
      signal.addEventListener("abort", () => {
        if (this.watchers.delete(watcher)) reject(new Error("no such request came by in time"))
      })
    })
  }

  close(): void {
    for (const server of this.servers) server.close()
    for (const connection of this.connections) connection.close()
  }

  /** For connections: who wants this request? */
  trapFor(request: Buffer, label: string): Trap | undefined {
    for (const trap of this.traps) {
      if ((trap.label === undefined || trap.label === label) && trap.wants(request)) return trap
    }
    return undefined
  }

  went(request: Buffer): void {
    for (const watcher of this.watchers) watcher(request)
  }

  left(connection: Connection): void {
    this.connections.delete(connection)
  }

  private join(client: Socket, label: string): void {
    if (this.broken) client.destroy()
    else this.connections.add(new Connection(this, client, label))
  }
}

class Connection {
  private readonly server: Socket
  private readonly toServer: Pipe
  private readonly toClient: Pipe
  private held: Buffer[] | undefined
  private swallowing: { readonly request: Buffer; readonly done: () => void } | undefined
  private detached = false

  constructor(link: Link, client: Socket, label: string) {
    this.link = link
    this.client = client
    this.label = label
    this.server = connect(link.port, "127.0.0.1")
    for (const socket of [client, this.server]) socket.setNoDelay(true)
    this.toServer = new Pipe(link.up, client, this.server)
    this.toClient = new Pipe(link.down, this.server, client)
    client.on(
      "data",
      link.cutter(request => this.asked(request))
    )
    this.server.on(
      "data",
      link.cutter(response => this.answered(response))
    )
    client.on("close", () => !this.detached && this.close())
    this.server.on("close", () => this.close())
    // A connection that breaks is closed right after.
    for (const socket of [client, this.server]) socket.on("error", () => {})
  }
  private readonly link: Link
  private readonly client: Socket
  private readonly label: string

  flow(): void {
    this.toServer.flow()
    this.toClient.flow()
  }

  close(): void {
    this.link.left(this)
    this.toServer.end()
    this.toClient.end()
    this.client.destroy()
    this.server.destroy()
  }

  private asked(request: Buffer): void {
    if (this.held !== undefined) this.held.push(request)
    else this.pass(request)
  }

  private pass(request: Buffer): void {
    const trap = this.link.trapFor(request, this.label)
    if (trap === undefined) {
      this.link.went(request)
      this.toServer.push(request)
    } else {
      this.held = [request]
      trap.caught(this.hold(request))
    }
  }

  private hold(request: Buffer): Held {
    return {
      request,
      forward: () => this.release(),
      swallowAnswer: () => this.swallow(request, () => this.release()),
      detach: () => {
        this.detached = true
        this.client.destroy()
        return {
          release: () => this.swallow(request, () => this.toServer.push(request)),
          close: () => this.close()
        }
      }
    }
  }

  private release(): void {
    const held = this.held ?? []
    this.held = undefined
    const [first, ...rest] = held
    if (first !== undefined) this.toServer.push(first)
    for (const request of rest) this.asked(request)
  }

  private swallow(request: Buffer, send: () => void): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.server.destroyed) return reject(new Error("the server has closed the connection of a held request"))
      this.server.once("close", () => resolve())
      this.swallowing = { request, done: resolve }
      send()
    })
  }

  private answered(response: Buffer): void {
    const { swallowing } = this
    if (swallowing !== undefined && this.link.answers(response, swallowing.request)) {
      this.swallowing = undefined
      swallowing.done()
    } else if (!this.detached) this.toClient.push(response)
  }
}
