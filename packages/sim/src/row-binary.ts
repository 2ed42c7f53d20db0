/** A row as it came in: its event's fields, and `_topic`, `_partition`, `_offset`, `_timestamp`. */
export type Row = Readonly<Record<string, unknown>> & {
  readonly _topic: string
  readonly _partition: number
  readonly _offset: number
}

const text = new TextDecoder()

/** Reads RowBinary of the types that simulated events have; `structure` as the insert names it, quoted. */
export const rowsOf = (structure: string, body: readonly Uint8Array[]): readonly Row[] => {
  const columns = [...structure.matchAll(/`([^`]+)` ([A-Za-z0-9()]+)/g)].map(
    ([, name, type]) => [name!, type!] as const
  )
  return body.flatMap(bytes => {
    const reader = new Reader(bytes)
    const rows: Row[] = []
    while (!reader.atEnd)
      rows.push(Object.fromEntries(columns.map(([name, type]) => [name, reader.value(type)])) as Row)
    return rows
  })
}

class Reader {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private at = 0

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get atEnd(): boolean {
    return this.at === this.bytes.length
  }

  value(type: string): string | number {
    if (type.includes("String")) return this.string()
    const size = type === "Int32" ? 4 : 8
    if (size === 8 && type !== "Int64" && !type.startsWith("DateTime64")) throw new Error(`no simulated ${type}`)
    this.at += size
    return size === 4 ? this.view.getInt32(this.at - 4, true) : Number(this.view.getBigInt64(this.at - 8, true))
  }

  private string(): string {
    let length = 0
    for (let shift = 0; ; shift += 7) {
      const byte = this.bytes[this.at++]!
      length |= (byte & 127) << shift
      if (byte < 128) break
    }
    this.at += length
    return text.decode(this.bytes.subarray(this.at - length, this.at))
  }
}
