import { text } from "./wire.ts"

const SLOTS = 4096
const MAX_BYTES = 48
const TRIAL = 4096
const PAUSE = 65536

/**
 * A bounded cache of one field's strings, keyed by their bytes: an account or currency that comes again costs no
 * allocation. It gives up for a while on a field whose values hardly repeat, such as an id. Memory: 230 KB once used.
 */
export class Interner {
  private strings: (string | undefined)[] = []
  private lengths = new Uint8Array(0)
  private bytes = new Uint8Array(0)
  private looked = 0
  private hits = 0
  private paused = 0

  /** The string of the UTF-8 bytes `b[start, end)`. */
  get(b: Uint8Array, start: number, end: number): string {
    const size = end - start
    if (size === 0) return ""
    if (size > MAX_BYTES) return text(b, start, end)
    if (this.paused > 0) {
      this.paused--
      return text(b, start, end)
    }
    return this.look(b, start, end, size)
  }

  private look(b: Uint8Array, start: number, end: number, size: number): string {
    if (++this.looked > TRIAL) this.judge()
    let hash = size
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + b[i]!) | 0
    const slot = (hash ^ (hash >>> 15)) & (SLOTS - 2)
    const found = this.holds(slot, b, start, size) ? slot : slot + 1
    if (found !== slot && !this.holds(found, b, start, size)) return this.keep(slot, b, start, end, size)
    this.hits++
    return this.strings[found]!
  }

  private holds(slot: number, b: Uint8Array, start: number, size: number): boolean {
    if (this.lengths[slot] !== size) return false
    const bytes = this.bytes
    const at = slot * MAX_BYTES
    for (let i = 0; i < size; i++) if (bytes[at + i] !== b[start + i]) return false
    return true
  }

  /** Each hash has two slots: the newest stands first and pushes its predecessor into the second. */
  private keep(slot: number, b: Uint8Array, start: number, end: number, size: number): string {
    if (this.strings.length === 0) this.open()
    const made = text(b, start, end)
    const at = slot * MAX_BYTES
    this.bytes.copyWithin(at + MAX_BYTES, at, at + this.lengths[slot]!)
    this.lengths[slot + 1] = this.lengths[slot]!
    this.strings[slot + 1] = this.strings[slot]
    for (let i = 0; i < size; i++) this.bytes[at + i] = b[start + i]!
    this.lengths[slot] = size
    this.strings[slot] = made
    return made
  }

  private open(): void {
    this.strings = new Array(SLOTS).fill(undefined)
    this.lengths = new Uint8Array(SLOTS)
    this.bytes = new Uint8Array(SLOTS * MAX_BYTES)
  }

  private judge(): void {
    if (this.hits * 8 < this.looked) this.paused = PAUSE
    this.looked = 0
    this.hits = 0
  }
}
