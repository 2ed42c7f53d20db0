import type { StoredCodec } from "@headrace/core"

/** 4,096 registers: a standard error of 1.04 / √4096, which is 1.6 %. */
const INDEX_BITS = 12
const REGISTERS = 1 << INDEX_BITS
/** Bits of a hash behind the register's number. */
const RANK_BITS = 53 - INDEX_BITS
const RANKS = 2 ** RANK_BITS
/** So many values are kept as they are, which is exact, and takes less. */
const FEW = 256

/**
 * How many different values were added, about: exact up to 256, from there HyperLogLog with Ertl's estimator (2017), which
 * has no bias in need of tables. Own code since no library is both right and kept: docs/decisions/0033.
 */
export class HyperLogLog {
  /** Hashes. Undefined once there were too many of them. */
  private few: Set<number> | undefined = new Set()
  private registers: Uint8Array | undefined

  add(value: string | number | bigint): void {
    this.addHash(
      hash53(typeof value === "string" ? value : `\u0000${typeof value === "number" ? value + 0 : `n${value}`}`)
    )
  }

  /** Adds what the other one holds, which stays as it is. */
  merge(other: HyperLogLog): void {
    if (other.few !== undefined) for (const hash of other.few) this.addHash(hash)
    if (other.registers === undefined) return
    const registers = this.dense()
    for (let i = 0; i < REGISTERS; i++) if (other.registers[i]! > registers[i]!) registers[i] = other.registers[i]!
  }

  estimate(): number {
    return this.registers === undefined ? this.few!.size : Math.round(ertl(this.registers))
  }

  private addHash(hash: number): void {
    if (this.few === undefined) return raise(this.registers!, hash)
    this.few.add(hash)
    if (this.few.size > FEW) this.dense()
  }

  private dense(): Uint8Array {
    this.registers ??= new Uint8Array(REGISTERS)
    for (const hash of this.few ?? []) raise(this.registers, hash)
    this.few = undefined
    return this.registers
  }

  /** The number of hashes and the hashes, or 0xffff and the registers. */
  static readonly codec: StoredCodec = {
    // Bytes of anything else are refused.
    shape: { record: { hyperLogLog: { shape: { literal: REGISTERS } } } },
    write: (value, out) => {
      const { few, registers } = value as HyperLogLog
      out.varint(few === undefined ? FEW + 1 : few.size)
      // Sorted: the same bytes whatever the order in which parts were merged.
      if (few !== undefined) for (const hash of [...few].sort((a, b) => a - b)) out.f64(hash)
      else out.copy(registers!, 0, REGISTERS)
    },
    read: (bytes, start, end) => {
      const made = new HyperLogLog()
      const head = bytes[start]! < 128 ? 1 : 2
      const length = end - start - head
      if (head === 2 && length === REGISTERS) {
        made.few = undefined
        made.registers = bytes.slice(start + head, end)
        return made
      }
      const view = new DataView(bytes.buffer, bytes.byteOffset + start + head, length)
      for (let at = 0; at < length; at += 8) made.few!.add(view.getFloat64(at))
      return made
    }
  }
}

const raise = (registers: Uint8Array, hash: number): void => {
  const index = Math.floor(hash / RANKS)
  const rest = hash - index * RANKS
  // The place of its first 1 among RANK_BITS; RANK_BITS + 1 if there is none.
  const rank = rest === 0 ? RANK_BITS + 1 : RANK_BITS - Math.floor(Math.log2(rest))
  if (rank > registers[index]!) registers[index] = rank
}

/** "New cardinality estimation algorithms for HyperLogLog sketches", algorithm 6. */
const ertl = (registers: Uint8Array): number => {
  const counts = new Array<number>(RANK_BITS + 2).fill(0)
  for (const rank of registers) counts[rank]! += 1
  let z = REGISTERS * tau(1 - counts[RANK_BITS + 1]! / REGISTERS)
  for (let rank = RANK_BITS; rank >= 1; rank--) z = (z + counts[rank]!) / 2
  z += REGISTERS * sigma(counts[0]! / REGISTERS)
  return REGISTERS ** 2 / (2 * Math.LN2 * z)
}

const sigma = (x: number): number => {
  if (x === 1) return Number.POSITIVE_INFINITY
  let [power, weight, sum] = [x, 1, x]
  for (let before = -1; sum !== before; ) {
    before = sum
    power *= power
    sum += power * weight
    weight += weight
  }
  return sum
}

const tau = (x: number): number => {
  if (x === 0 || x === 1) return 0
  let [root, weight, sum] = [x, 1, 1 - x]
  for (let before = -1; sum !== before; ) {
    before = sum
    root = Math.sqrt(root)
    weight /= 2
    sum -= (1 - root) ** 2 * weight
  }
  return sum / 3
}

/** Two mixed lanes of 32 bits over the UTF-16 units, 53 bits of which are a safe integer (bryc's cyrb53). */
const hash53 = (text: string): number => {
  let [a, b] = [0xdeadbeef, 0x41c6ce57]
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    a = Math.imul(a ^ unit, 2654435761)
    b = Math.imul(b ^ unit, 1597334677)
  }
  a = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909)
  b = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(a ^ (a >>> 13), 3266489909)
  return 4294967296 * (2097151 & b) + (a >>> 0)
}
