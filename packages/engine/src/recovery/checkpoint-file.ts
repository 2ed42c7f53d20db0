import {
  type ChangeSet,
  type Entry,
  entriesIn,
  IndexWriter,
  indexedBlock,
  type StoredBlock,
  writeEntry
} from "@headrace/core"
import { Schema } from "effect"
import { type Block, BlockReader, BlockWriter, END } from "./blocks.ts"

/*
 * A checkpoint: a block with what it is of, blocks of entries in key order (core's, whole ones, each with its index), and an empty end.
 * One that stands on others has changes (core's, whole ones) in place of entries.
 */
const HEADER = 1
/** Without an index, as they once were. */
const ENTRIES = 2
const CHANGES = 3
const INDEXED = 4

/** Entries for one block: about a millisecond's work to put back. One that is larger has a block of its own. */
export const BLOCK_BYTES = 1 << 15

const utf8 = new TextEncoder()
const text = new TextDecoder()

/** What the state of a checkpoint is of. */
export const CheckpointHeader = Schema.Struct({
  topic: Schema.String,
  partition: Schema.Int,
  /** The changelog offset to read on from. */
  changelogOffset: Schema.Finite,
  /** The source offset that this state stands for. */
  sourceOffset: Schema.Finite,
  /** The names of those that this one stands on, in order: a full one first, then changes to it. None: it is full. */
  over: Schema.optionalKey(Schema.Array(Schema.String))
})
export type CheckpointHeader = typeof CheckpointHeader.Type
const HeaderJson = Schema.fromJsonString(CheckpointHeader)

/** Makes the bytes of a checkpoint, a block at a time: `begin`, then `add` for all entries, then `end`. */
export class CheckpointWriter {
  private readonly blocks = new BlockWriter()
  private readonly index = new IndexWriter()
  private readonly blockBytes: number

  constructor(blockBytes: number = BLOCK_BYTES) {
    this.blockBytes = blockBytes
  }

  begin(header: CheckpointHeader): Uint8Array {
    const json = utf8.encode(Schema.encodeSync(HeaderJson)(header))
    this.blocks.payload.copy(json, 0, json.length)
    return this.blocks.close(HEADER)
  }

  /** The blocks that are full with these entries, which come in key order. */
  *add(entries: Iterable<Entry>): Generator<Uint8Array> {
    for (const [key, value] of entries) {
      const { payload } = this.blocks
      writeEntry(payload, key, value)
      if (this.blocks.size >= this.blockBytes) yield this.closeEntries()
    }
  }

  /** The same for what was a block before: entry by entry only where it has become too large for one. */
  *addBlock(entries: Uint8Array): Generator<Uint8Array> {
    if (entries.length > 2 * this.blockBytes) return yield* this.add(entriesIn(entries))
    this.blocks.payload.copy(entries, 0, entries.length)
    if (this.blocks.size >= this.blockBytes) yield this.closeEntries()
  }

  *end(): Generator<Uint8Array> {
    if (this.blocks.size > 0) yield this.closeEntries()
    yield this.blocks.close(END)
  }

  /** All blocks behind the header of one that stands on others. */
  *changes(changes: ChangeSet): Generator<Uint8Array> {
    for (const _ of changes.write(this.blocks.payload))
      if (this.blocks.size >= this.blockBytes) yield this.blocks.close(CHANGES)
    if (this.blocks.size > 0) yield this.blocks.close(CHANGES)
    yield this.blocks.close(END)
  }

  private closeEntries(): Uint8Array {
    const { payload, size } = this.blocks
    this.index.append(payload, payload.length - size)
    return this.blocks.close(INDEXED)
  }
}

/** What a checkpoint's bytes come to: the header first, then blocks of entries, or of changes where it says so. */
export type CheckpointPart = CheckpointHeader | StoredBlock
export const isHeader = (part: CheckpointPart): part is CheckpointHeader => !("bytes" in part)

/** Takes a checkpoint's bytes apart, in chunks however they come. Throws with what is wrong, before it hands it over. */
export class CheckpointReader {
  private readonly blocks = new BlockReader()

  /** What is whole with this chunk; valid until the next one. */
  push(chunk: Uint8Array): readonly CheckpointPart[] {
    return this.blocks.push(chunk).flatMap(block => this.part(block))
  }

  /** There is nothing more. */
  end(): void {
    this.blocks.end()
  }

  private part({ kind, payload }: Block): readonly CheckpointPart[] {
    switch (kind) {
      case HEADER:
        return [Schema.decodeUnknownSync(HeaderJson)(text.decode(payload))]
      case INDEXED:
        return [indexedBlock(payload)]
      case ENTRIES:
      case CHANGES:
        return [{ bytes: payload }]
      case END:
        return []
      default:
        throw new Error(`it has a block of unknown kind ${kind}`)
    }
  }
}
