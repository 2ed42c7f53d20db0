const NO_BYTES = new Uint8Array(0)

/**
 * The source record that is being processed: what a sink passes on as key and what a dead letter carries. One for each
 * task, moved along by the loop over a batch; a step that outlives the batch takes a copy and puts it back.
 */
export class RecordContext {
  bytes: Uint8Array = NO_BYTES
  keyStart = 0
  /** -1: the record has no key. */
  keyLength = -1
  valueStart = 0
  valueLength = 0
  /** The source offset; what is committed is below it as long as the record is under way. */
  offset = -1
  /** The Kafka timestamp in ms. */
  timestamp = -1

  /** No source record is being processed: what goes on stands behind all records below `offset`. */
  clear(offset: number): void {
    this.bytes = NO_BYTES
    this.keyStart = this.valueStart = this.valueLength = 0
    this.keyLength = -1
    this.offset = offset
    this.timestamp = -1
  }
}

/** A record's context, kept beyond its batch. */
export interface SavedContext {
  readonly bytes: Uint8Array
  readonly keyLength: number
  readonly valueLength: number
  readonly offset: number
  readonly timestamp: number
}

/** Copies key and, where dead letters may need it, value out of the batch. */
export const save = (context: RecordContext, withValue: boolean): SavedContext => {
  const keyBytes = Math.max(0, context.keyLength)
  const valueBytes = withValue ? Math.max(0, context.valueLength) : 0
  const bytes = new Uint8Array(keyBytes + valueBytes)
  bytes.set(context.bytes.subarray(context.keyStart, context.keyStart + keyBytes))
  bytes.set(context.bytes.subarray(context.valueStart, context.valueStart + valueBytes), keyBytes)
  const { keyLength, offset, timestamp } = context
  return { bytes, keyLength, valueLength: valueBytes, offset, timestamp }
}

export const putBack = (context: RecordContext, saved: SavedContext): void => {
  context.bytes = saved.bytes
  context.keyStart = 0
  context.keyLength = saved.keyLength
  context.valueStart = Math.max(0, saved.keyLength)
  context.valueLength = saved.valueLength
  context.offset = saved.offset
  context.timestamp = saved.timestamp
}
