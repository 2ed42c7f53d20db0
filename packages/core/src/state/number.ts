import type { ByteWriter } from "../bytes.ts"
import { StateError } from "./error.ts"

/*
 * A number in state: most are small integers (counts, cents), so these take as few bytes as they need.
 *   integer, |n| ≤ 2^50   varint of |n| · 4, plus 2 if negative
 *   anything else         one byte 1, then the 8 bytes of the double (-0 and NaN too)
 */
const MAX_SHORT = 2 ** 50

export const writeNumber = (out: ByteWriter, value: number): void => {
  if (Number.isInteger(value) && Math.abs(value) <= MAX_SHORT && !Object.is(value, -0)) {
    out.varint(value >= 0 ? value * 4 : value * -4 + 2)
  } else {
    out.u8(1)
    out.f64(value)
  }
}

/** Reads what the writers here and ByteWriter wrote, within one range. Throws StateError at its end. */
export class ValueReader {
  at = 0
  private bytes: Uint8Array = new Uint8Array(0)
  private limit = 0

  reset(bytes: Uint8Array, start = 0, end = bytes.length): void {
    this.bytes = bytes
    this.at = start
    this.limit = end
  }

  number(): number {
    if (this.bytes[this.at] === 1) return this.double()
    const packed = this.varint()
    const magnitude = Math.floor(packed / 4)
    return packed % 4 === 2 ? -magnitude : magnitude
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let digits = 0; digits < 8; digits++, scale *= 128) {
      if (this.at >= this.limit) throw truncated(this.at)
      const byte = this.bytes[this.at++]!
      value += (byte & 127) * scale
      if (byte < 128) return value
    }
    throw truncated(this.at)
  }

  /** Moves over `length` bytes and returns where they start. */
  skip(length: number): number {
    const start = this.at
    if (length > this.limit - start) throw truncated(start)
    this.at = start + length
    return start
  }

  /** Nothing may be left: what remains would be silently forgotten. */
  end(): void {
    if (this.at !== this.limit) throw new StateError("Damaged", `A state value has bytes left at ${this.at}`)
  }

  private double(): number {
    this.at++
    const start = this.skip(8)
    const { buffer, byteOffset } = this.bytes
    // Made when it is needed: most numbers are short, and an object for each value would cost more than reading it.
    return new DataView(buffer, byteOffset + start, 8).getFloat64(0)
  }
}

const truncated = (at: number): StateError => new StateError("Damaged", `A state value ends early at byte ${at}`)
