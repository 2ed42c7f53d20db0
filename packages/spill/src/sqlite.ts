import { randomUUID } from "node:crypto"
import { rmSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync, type StatementSync } from "node:sqlite"
import { type Entry, messageOf, SpillError, type SpillStore } from "@headrace/core"

/** Pages that SQLite keeps itself; the system's cache of the file comes on top, and goes when memory is short. */
const CACHE_KB = 8192

/**
 * Nothing here has to survive: no sync, and one transaction that never ends, so that a call costs a walk down a tree and
 * no system call but the reading and writing of pages. The journal is of the pages that were there when it began: two.
 */
const SETUP = `
  PRAGMA page_size = 4096;
  PRAGMA cache_size = -${CACHE_KB};
  PRAGMA journal_mode = MEMORY;
  PRAGMA synchronous = OFF;
  PRAGMA locking_mode = EXCLUSIVE;
  CREATE TABLE spill (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
  BEGIN EXCLUSIVE;
`

/** Both ends are bounds of the walk: a mere condition would be looked at for every entry behind the range. */
const RANGE = "FROM spill WHERE key >= ? AND key < ? ORDER BY key LIMIT ?"

interface Row {
  readonly key: Uint8Array
  readonly value: Uint8Array
}

/**
 * A spill store in a file that has no name: it is unlinked as soon as it is open, so that the system frees it with the
 * process, however that ends. `maxPages` is for tests: a disk of that many pages of 4 KiB.
 */
export class SqliteSpill implements SpillStore {
  private readonly directory: string
  private readonly database: DatabaseSync
  private readonly puts: StatementSync
  private readonly gets: StatementSync
  private readonly deletes: StatementSync
  private readonly scans: StatementSync
  private readonly deletesRange: StatementSync

  constructor(directory: string, maxPages?: number) {
    this.directory = directory
    const file = join(directory, `${randomUUID()}.spill`)
    try {
      this.database = new DatabaseSync(file)
      this.database.exec(SETUP)
      if (maxPages !== undefined) this.database.exec(`PRAGMA max_page_count = ${maxPages}`)
      const prepare = (sql: string) => this.database.prepare(sql)
      this.puts = prepare("INSERT OR REPLACE INTO spill VALUES (?, ?)")
      this.gets = prepare("SELECT value FROM spill WHERE key = ?")
      this.deletes = prepare("DELETE FROM spill WHERE key = ?")
      this.scans = prepare(`SELECT key, value ${RANGE}`)
      this.deletesRange = prepare(`DELETE FROM spill WHERE key IN (SELECT key ${RANGE})`)
    } catch (error) {
      throw this.failed(error)
    } finally {
      rmSync(file, { force: true })
    }
  }

  put(key: Uint8Array, value: Uint8Array): void {
    try {
      this.puts.run(key, value)
    } catch (error) {
      throw this.failed(error)
    }
  }

  get(key: Uint8Array): Uint8Array | undefined {
    try {
      return (this.gets.get(key) as Row | undefined)?.value
    } catch (error) {
      throw this.failed(error)
    }
  }

  delete(key: Uint8Array): void {
    try {
      this.deletes.run(key)
    } catch (error) {
      throw this.failed(error)
    }
  }

  scan(prefix: Uint8Array, from: Uint8Array, limit: number): readonly Entry[] {
    try {
      const rows = this.scans.all(from, behind(prefix), limit) as unknown as readonly Row[]
      return rows.map(({ key, value }) => [key, value] as const)
    } catch (error) {
      throw this.failed(error)
    }
  }

  deletePrefix(prefix: Uint8Array, limit: number): number {
    try {
      return Number(this.deletesRange.run(prefix, behind(prefix), limit).changes)
    } catch (error) {
      throw this.failed(error)
    }
  }

  close(): void {
    if (this.database.isOpen) this.database.close()
  }

  private failed(cause: unknown): SpillError {
    const what = messageOf(cause)
    return new SpillError(
      `Cannot spill state to ${this.directory}: ${what}. ` +
        "Make room there, put state.directory on a larger local disk, or give state more memory (state.memory).",
      { cause }
    )
  }
}

/** The first key behind all that start with a prefix. Behind one of nothing but 255s: no key is longer. */
const behind = (prefix: Uint8Array): Uint8Array => {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 255) length--
  if (length === 0) return GREATEST
  const key = prefix.slice(0, length)
  key[length - 1]! += 1
  return key
}
/** An operator's hash of 255s, its greatest namespace and handle: state keys are smaller. */
const GREATEST = new Uint8Array(64).fill(255)
