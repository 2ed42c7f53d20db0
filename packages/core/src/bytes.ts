const EMPTY = new Uint8Array(0)

/**
 * A growing byte buffer: what encoders, state deltas and outputs write into. One lives as long as its lane and is
 * cleared, not made anew. Write by `reserve(n)` (room for n more bytes), then `bytes`/`view` at `length`, then
 * advance `length`. `bytes` and `view` change identity when the buffer grows: read them again after `reserve`.
 */
export class ByteWriter {
  bytes: Uint8Array
  view: DataView
  length = 0

  constructor(capacity = 1024) {
    this.bytes = capacity === 0 ? EMPTY : new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes room for `size` more bytes. Doubles, so that the cost for each byte is constant. */
  reserve(size: number): void {
    const needed = this.length + size
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    grown.set(this.bytes.subarray(0, this.length))
    this.bytes = grown
    this.view = new DataView(grown.buffer)
  }

  clear(): void {
    this.length = 0
  }

  /** What was written so far, not copied: valid until the next write or `clear`. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  u8(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  u32(value: number): void {
    this.reserve(4)
    this.view.setUint32(this.length, value)
    this.length += 4
  }

  f64(value: number): void {
    this.reserve(8)
    this.view.setFloat64(this.length, value)
    this.length += 8
  }

  /** Appends `source[start, end)`. Short ranges are copied byte by byte: cheaper than a subarray and a set. */
  copy(source: Uint8Array, start: number, end: number): void {
    const size = end - start
    this.reserve(size)
    const target = this.bytes
    let at = this.length
    if (size <= 64) for (let i = start; i < end; i++) target[at++] = source[i]!
    else target.set(source.subarray(start, end), at)
    this.length += size
  }

  /** Leaves room for the length of what follows, which `close` writes. Returns where what follows begins. */
  open(): number {
    this.u8(0)
    return this.length
  }

  /** Writes the length of what was written since `open` before it, as a varint. Where that takes more than one byte, what follows moves. */
  close(start: number): void {
    const size = this.length - start
    if (size < 128) this.bytes[start - 1] = size
    else this.closeLong(start, size)
  }

  private closeLong(start: number, size: number): void {
    let more = 0
    for (let rest = Math.floor(size / 128); rest > 0; rest = Math.floor(rest / 128)) more++
    this.reserve(more)
    this.bytes.copyWithin(start + more, start, this.length)
    this.length = start - 1
    this.varint(size)
    this.length += size
  }

  /** Unsigned LEB128 of a safe non-negative integer: up to 8 bytes. */
  varint(value: number): void {
    this.reserve(8)
    let rest = value
    // Beyond 32 bits there are no bit operations, and a division of doubles costs ten times as much.
    while (rest > 0x7fffffff) {
      this.bytes[this.length++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    let small = rest | 0
    while (small >= 128) {
      this.bytes[this.length++] = (small & 127) | 128
      small >>>= 7
    }
    this.bytes[this.length++] = small
  }
}
