import type { Random } from "./random.ts"
import type { Row } from "./row-binary.ts"
import type { Sabotage } from "./sabotage.ts"

/** The rows of one insert that go into one table partition: ClickHouse writes and deduplicates them as one. */
interface Part {
  readonly partition: number
  readonly rows: readonly Row[]
}

/** An insert that was begun: what its condition left, by table partition. */
export interface Insert {
  readonly token: string | undefined
  readonly parts: Part[]
}

/** Settings without which the server may not look at the token of an INSERT … SELECT. */
const DEDUPLICATED = ["async_insert = 0", "insert_deduplicate = 1", "deduplicate_insert_select = 'force_enable'"]

/**
 * A MergeTree table with several partitions, and the ledger beside it. Tokens are remembered by table partition, for as
 * short as the protocol allows: until the block's end stands in the ledger and no insert is under way that began before.
 */
export class Table {
  readonly rows: Row[] = []
  /** The next offset by Kafka partition. */
  readonly ledger = new Map<number, number>()
  private readonly partitions: number
  private readonly tokens = new Set<string>()
  private readonly running = new Set<Insert>()
  private readonly sabotage: Sabotage | undefined

  constructor(random: Random, sabotage: Sabotage | undefined) {
    this.partitions = random.int(1, 4)
    this.sabotage = sabotage
  }

  /** Begins: which rows are wanted is decided now. */
  insert(sql: string, rows: readonly Row[]): Insert {
    const [, settings, query] = /^INSERT INTO .*? SETTINGS (.*?) SELECT (.*)$/.exec(sql) ?? unknown(sql)
    const conditional = /WHERE _offset >= \(SELECT .*FROM `sim`\._headrace_blocks WHERE .*\)\[_partition\]$/.test(
      query!
    )
    const done = conditional && this.sabotage !== "ledgerIgnored" ? this.done() : undefined
    const wanted = rows.filter(row => row._offset >= (done?.get(row._partition) ?? 0))
    const token = /insert_deduplication_token = '(.*?)'/.exec(settings!)?.[1]
    const counts = DEDUPLICATED.every(one => settings!.includes(one)) && this.sabotage !== "noDedupToken"
    const groups = Map.groupBy(wanted, row => (row.id as number) % this.partitions)
    const parts = [...groups].map(([partition, of]) => ({ partition, rows: of }))
    const insert = { token: counts ? token : undefined, parts }
    this.running.add(insert)
    return insert
  }

  write({ token }: Insert, { partition, rows }: Part): void {
    const name = `${partition} ${token}`
    if (token !== undefined && this.tokens.has(name)) return
    this.rows.push(...rows)
    if (token !== undefined) this.tokens.add(name)
  }

  /** It has ended, one way or another. */
  forget(insert: Insert): void {
    this.running.delete(insert)
    this.evict()
  }

  query(sql: string): readonly Record<string, unknown>[] {
    if (sql.startsWith("SELECT name FROM system.settings"))
      return [...sql.matchAll(/`(\w+)`|'(\w+)'/g)].map(([, quoted, text]) => ({ name: quoted ?? text }))
    if (sql.startsWith("SELECT partition, toInt64(max(next)) AS done FROM `sim`._headrace_blocks"))
      return [...this.ledger].map(([partition, done]) => ({ partition, done }))
    if (sql.startsWith("SELECT _partition AS partition, toInt64(max(_offset)) + 1 AS done FROM"))
      return [...sql.matchAll(/\(_partition = (\d+) AND _offset >= (\d+)\)/g)].flatMap(([, partition, from]) => {
        const offsets = this.offsets(Number(partition)).filter(offset => offset >= Number(from))
        return offsets.length === 0 ? [] : [{ partition: Number(partition), done: Math.max(...offsets) + 1 }]
      })
    return unknown(sql)
  }

  command(sql: string): void {
    if (!sql.startsWith("INSERT INTO `sim`._headrace_blocks")) return unknown(sql)
    for (const [, partition, next] of sql.matchAll(/\('[^']*', '[^']*', (\d+), (\d+), now64\(3\)\)/g))
      this.ledger.set(Number(partition), Math.max(Number(next), this.ledger.get(Number(partition)) ?? 0))
    this.evict()
  }

  private done(): ReadonlyMap<number, number> {
    if (this.sabotage !== "ledgerByMaxOffset") return this.ledger
    const partitions = new Set(this.rows.map(row => row._partition))
    return new Map([...partitions].map(partition => [partition, Math.max(...this.offsets(partition)) + 1]))
  }

  private offsets(partition: number): readonly number[] {
    return this.rows.filter(row => row._partition === partition).map(row => row._offset)
  }

  private evict(): void {
    if (this.running.size > 0) return
    for (const name of this.tokens) if (this.finished(name)) this.tokens.delete(name)
  }

  /** A token ends with the plan's ranges: `0:120+499/500,3:80+10/9`, in base 36. */
  private finished(name: string): boolean {
    const ranges = [...name.matchAll(/(?<=[;,])([0-9a-z]+):([0-9a-z]+)\+([0-9a-z]+)\//g)]
    return ranges.every(range => {
      const [partition, first, length] = range.slice(1).map(digits => Number.parseInt(digits, 36))
      return (this.ledger.get(partition!) ?? 0) > first! + length!
    })
  }
}

const unknown = (sql: string): never => {
  throw new Error(`The simulated ClickHouse does not know this statement: ${sql}`)
}
