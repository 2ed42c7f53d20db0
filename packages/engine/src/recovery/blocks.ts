import { createHash } from "node:crypto"
import { ByteWriter } from "@headrace/core"

/*
 * A file of blocks, so that damage is found before anything of a block is taken for true, with a block in memory:
 *   magic · block …, of which the last one is an end
 *   block   kind u8 · length u32 · its complement u32 · payload · SHA-256 of (the checksum before, kind, length, payload)
 * A checksum covers the one before: no block can be missing, doubled, swapped or another file's. A file without its end
 * was cut off. The complement finds a damaged length before that much is waited for.
 */
const MAGIC = 0x48_52_43_32 // "HRC2"
const MAGIC_BYTES = 4
const HEAD_BYTES = 9
const DIGEST_BYTES = 32
const NO_DIGEST = new Uint8Array(DIGEST_BYTES)

/** The kind of the last block of a file; the others are their writer's affair. */
export const END = 0

export interface Block {
  readonly kind: number
  /** Valid until the next `push`. */
  readonly payload: Uint8Array
}

/** Makes the blocks of one file: fill `payload`, then `close` it. */
export class BlockWriter {
  private readonly out = new ByteWriter(1 << 16)
  private digest: Uint8Array = NO_DIGEST
  private start = 0

  constructor() {
    this.out.u32(MAGIC)
    this.open()
  }

  /** Where what is in the block is appended to. */
  get payload(): ByteWriter {
    return this.out
  }
  /** Bytes of payload so far. */
  get size(): number {
    return this.out.length - this.start - HEAD_BYTES
  }

  /** Ends the block as one of this kind, and begins another one. The bytes of it in the file: a copy. */
  close(kind: number): Uint8Array {
    const { out, start, size } = this
    const head = out.view
    head.setUint8(start, kind)
    head.setUint32(start + 1, size)
    head.setUint32(start + 5, ~size)
    this.digest = createHash("sha256").update(this.digest).update(out.bytes.subarray(start, out.length)).digest()
    out.copy(this.digest, 0, DIGEST_BYTES)
    const bytes = out.written().slice()
    out.clear()
    this.open()
    return bytes
  }

  private open(): void {
    this.start = this.out.length
    this.out.reserve(HEAD_BYTES)
    this.out.length += HEAD_BYTES
  }
}

/** Takes a file apart, in chunks however they come. Throws with what is wrong. */
export class BlockReader {
  private digest: Uint8Array = NO_DIGEST
  /** What the last chunk began and did not end. */
  private rest: Uint8Array = new Uint8Array(0)
  private begun = false
  private ended = false

  /** The blocks that are whole with this chunk. */
  push(chunk: Uint8Array): readonly Block[] {
    const bytes = plain(chunk)
    const blocks: Block[] = []
    let at = 0
    // Only what lies across two chunks is put together.
    while (this.rest.length > 0 && at < bytes.length) {
      const piece = bytes.subarray(at, at + this.missing)
      const begun = joined(this.rest, piece)
      at += piece.length
      this.rest = begun.slice(this.take(begun, blocks))
    }
    // A copy: what the store does with its chunk is its affair.
    if (this.rest.length === 0) this.rest = bytes.slice(at + this.take(bytes.subarray(at), blocks))
    return blocks
  }

  /** Bytes without which what was begun is not whole, or not even known to be. */
  private get missing(): number {
    const { rest } = this
    const end = endOf(new DataView(rest.buffer, rest.byteOffset, rest.length), 0)
    const least = this.begun ? HEAD_BYTES : MAGIC_BYTES
    return (end === Number.POSITIVE_INFINITY ? least : end) - rest.length
  }

  /** Takes up the blocks that are whole: up to where. */
  private take(bytes: Uint8Array, blocks: Block[]): number {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    let at = this.begin(view)
    for (let end = endOf(view, at); end <= bytes.length; end = endOf(view, at)) {
      blocks.push(this.block(bytes, at, end))
      at = end
    }
    return at
  }

  /** There is nothing more. */
  end(): void {
    if (!this.ended || this.rest.length > 0) throw new Error("it was cut off")
  }

  /** Where the first block begins. */
  private begin(view: DataView): number {
    if (this.begun || view.byteLength < MAGIC_BYTES) return 0
    if (view.getUint32(0) !== MAGIC) throw new Error("it does not begin as one of this version does")
    this.begun = true
    return MAGIC_BYTES
  }

  private block(bytes: Uint8Array, at: number, end: number): Block {
    if (this.ended) throw new Error("it goes on after its end")
    const kind = bytes[at]!
    const payloadEnd = end - DIGEST_BYTES
    const digest = createHash("sha256").update(this.digest).update(bytes.subarray(at, payloadEnd)).digest()
    if (!digest.equals(bytes.subarray(payloadEnd, end))) throw new Error("a checksum does not fit its content")
    this.digest = digest
    this.ended = kind === END
    return { kind, payload: bytes.subarray(at + HEAD_BYTES, payloadEnd) }
  }
}

/** Where the block at `at` ends; infinity while its head is not here. */
const endOf = (view: DataView, at: number): number => {
  if (at + HEAD_BYTES > view.byteLength) return Number.POSITIVE_INFINITY
  const size = view.getUint32(at + 1)
  if (view.getUint32(at + 5) !== ~size >>> 0) throw new Error("a block's length is damaged")
  return at + HEAD_BYTES + size + DIGEST_BYTES
}

/** The same bytes, not as a Buffer: its slices are views, and who asks for a slice wants to keep it. */
const plain = ({ buffer, byteOffset, length }: Uint8Array): Uint8Array => new Uint8Array(buffer, byteOffset, length)

const joined = (first: Uint8Array, second: Uint8Array): Uint8Array => {
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}
