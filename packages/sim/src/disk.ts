import type { Random } from "./random.ts"

/** Stored checkpoints. The disk may be full, and files rot. */
export class Disk {
  readonly files = new Map<string, Uint8Array>()
  readonly damaged = new Set<string>()
  /** Of those: nothing comes of reading them, however often. */
  readonly unreadable = new Set<string>()
  full = false
  private readonly random: Random

  constructor(random: Random) {
    this.random = random
  }

  put(name: string, bytes: Uint8Array): void {
    this.files.set(name, bytes.slice())
    this.mend(name)
  }

  remove(name: string): void {
    this.files.delete(name)
    this.mend(name)
  }

  size(name: string): number {
    return this.files.get(name)?.length ?? 0
  }

  /** In order. */
  under(prefix: string): readonly string[] {
    return [...this.files.keys()].filter(name => name.startsWith(prefix)).sort()
  }

  /** Files that may rot: each directory's newest, if the one before is sound. Without any sound one a job has to stop. */
  rotten(): readonly string[] {
    // Of a savepoint there is one only: one that rots is said to be damaged, and that is all there is to it.
    const checkpoints = [...this.files.keys()].filter(name => !name.startsWith("savepoints/"))
    const directories = new Set(checkpoints.map(directoryOf))
    return [...directories].flatMap(directory => {
      const [before, newest] = this.under(directory).slice(-2)
      return newest === undefined || this.damaged.has(before!) || this.damaged.has(newest) ? [] : [newest]
    })
  }

  /** A byte changes, or the end is missing, or the disk does not read it any more. */
  damage(name: string): void {
    const { random } = this
    if (random.chance(0.3)) return this.block(name)
    const bytes = this.files.get(name)!
    const at = random.int(0, bytes.length - 1)
    this.files.set(name, random.chance(0.5) ? bytes.slice(0, at) : bytes.with(at, bytes[at]! ^ random.int(1, 255)))
    this.damaged.add(name)
  }

  block(name: string): void {
    this.unreadable.add(name)
    this.damaged.add(name)
  }

  mend(name: string): void {
    this.unreadable.delete(name)
    this.damaged.delete(name)
  }
}

const directoryOf = (name: string): string => name.slice(0, name.lastIndexOf("/") + 1)
