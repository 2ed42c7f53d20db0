import type { Entry } from "./block.ts"
import { compareBytes } from "./order.ts"
import type { SpillStore } from "./spill.ts"

/** A spill store that spills to memory: for tests and simulation, which bind state to nothing and need no disk. */
export class MemorySpill implements SpillStore {
  private readonly values = new Map<string, Entry>()
  /** By key; undefined after a change. */
  private sorted: Entry[] | undefined = []

  put(key: Uint8Array, value: Uint8Array): void {
    this.values.set(nameOf(key), [key.slice(), value.slice()])
    this.sorted = undefined
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.values.get(nameOf(key))?.[1]
  }

  delete(key: Uint8Array): void {
    if (this.values.delete(nameOf(key))) this.sorted = undefined
  }

  scan(prefix: Uint8Array, from: Uint8Array, limit: number): readonly Entry[] {
    this.sorted ??= [...this.values.values()].sort(([a], [b]) => compareBytes(a, b))
    const found: Entry[] = []
    for (const entry of this.sorted) {
      if (found.length === limit) break
      if (compareBytes(entry[0], from) >= 0 && startsWith(entry[0], prefix)) found.push(entry)
    }
    return found
  }

  deletePrefix(prefix: Uint8Array, limit: number): number {
    const found = this.scan(prefix, prefix, limit)
    for (const [key] of found) this.delete(key)
    return found.length
  }

  close(): void {
    this.values.clear()
    this.sorted = []
  }
}

const nameOf = (key: Uint8Array): string => String.fromCharCode(...key)

const startsWith = (key: Uint8Array, prefix: Uint8Array): boolean =>
  key.length >= prefix.length && prefix.every((byte, i) => key[i] === byte)
