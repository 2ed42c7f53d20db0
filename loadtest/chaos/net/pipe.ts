import type { Socket } from "node:net"

/** How a line behaves now. */
export interface Shape {
  /** Nothing passes, nothing is lost. */
  readonly frozen: boolean
  readonly delayMs: number
  /** Bytes a second of all connections together, in each direction; 0: as fast as it goes. */
  readonly bytesPerSecond: number
}
export const OPEN: Shape = { frozen: false, delayMs: 0, bytesPerSecond: 0 }

/** What the connections of one server share in one direction. */
export class Line {
  shape = OPEN
  /** When the last byte that was given to the line has passed. */
  private freeAt = 0

  /** When something of this size, given to the line now, comes out. */
  leaves(bytes: number, now: number): number {
    const { delayMs, bytesPerSecond } = this.shape
    const begin = Math.max(now, this.freeAt)
    this.freeAt = bytesPerSecond === 0 ? now : begin + (bytes * 1000) / bytesPerSecond
    return this.freeAt + delayMs
  }
}

const MAX_WAITING_BYTES = 1 << 20

/** One direction of one connection: in order, and bounded by holding its source back. */
export class Pipe {
  private readonly waiting: { readonly unit: Buffer; readonly at: number }[] = []
  private bytes = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  constructor(line: Line, from: Socket, to: Socket) {
    this.line = line
    this.from = from
    this.to = to
    to.on("drain", () => this.ease())
  }
  private readonly line: Line
  private readonly from: Socket
  private readonly to: Socket

  push(unit: Buffer): void {
    const now = performance.now()
    this.bytes += unit.length
    this.waiting.push({ unit, at: this.line.leaves(unit.length, now) })
    this.flow()
  }

  /** Writes what is due; called again when the line's shape has changed. */
  flow(): void {
    clearTimeout(this.timer)
    const now = performance.now()
    while (!this.line.shape.frozen && this.waiting.length > 0 && this.waiting[0]!.at <= now) {
      const { unit } = this.waiting.shift()!
      this.bytes -= unit.length
      if (!this.to.destroyed) this.to.write(unit)
    }
    const next = this.waiting[0]
    if (next !== undefined && !this.line.shape.frozen) this.timer = setTimeout(() => this.flow(), next.at - now)
    this.ease()
  }

  end(): void {
    clearTimeout(this.timer)
  }

  private ease(): void {
    const full = this.bytes + this.to.writableLength > MAX_WAITING_BYTES
    if (full) this.from.pause()
    else if (this.from.isPaused()) this.from.resume()
  }
}
