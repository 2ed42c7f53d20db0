import type { ByteWriter } from "./bytes.ts"
import type { Shape } from "./state/shape.ts"

/** Why the bytes of a record could not be read. */
export type DecodeReason =
  | "NotFramed"
  | "UnknownSchema"
  | "Truncated"
  | "TrailingBytes"
  | "OutOfRange"
  | "Invalid"
  | "Incompatible"

/** A record that cannot be decoded. Thrown by `RecordDecoder.view`, before any operator has seen the record. */
export class DecodeError extends Error {
  override readonly name = "DecodeError"
  readonly reason: DecodeReason
  constructor(reason: DecodeReason, message: string) {
    super(message)
    this.reason = reason
  }
}

/** The content bytes (no length prefix) of one string or bytes field of the record that the decoder stands on. */
export interface FieldSpan {
  readonly start: () => number
  readonly end: () => number
}

/**
 * Reads the records of one source with one reader schema, whatever writer schemas they carry. It stands on one
 * record at a time. Compiled by the format's package (avro) and handed to operators as a port.
 */
export interface RecordDecoder {
  /** The fields of the reader schema, in its order. */
  readonly fields: readonly string[]
  /** The writer schema's id of a framed record, -1 when it is not framed. Does not throw. */
  readonly schemaId: (bytes: Uint8Array, offset: number, length: number) => number
  /** Whether records of this writer schema can be read at once; if not, `prepare` it first. */
  readonly knows: (schemaId: number) => boolean
  /**
   * Stands on the record and returns the reusable view: an object with a getter for each field. Scans and checks
   * the whole record in one pass, so that getters never throw; makes no string. Throws DecodeError.
   */
  readonly view: (bytes: Uint8Array, offset: number, length: number) => object
  /** A plain, independent object of the record that the decoder stands on. */
  readonly materialise: () => object
  /** Direct access to the bytes of a string or bytes field; undefined for other types. */
  readonly span: (field: string) => FieldSpan | undefined
  /**
   * A reusable object with the view's getters and, beside them, plain writable properties `names` (undefined at
   * first): what an `extend` step hands on without materialising the record.
   */
  readonly extended: (names: readonly string[]) => Record<string, unknown>
}

/** Writes records of one schema, framed for the topic (Confluent header included). Throws EncodeError. */
export interface RecordEncoder {
  readonly encode: (record: object, out: ByteWriter) => void
  /**
   * The same encoder, specialised for records that are this decoder's view (no `names`) or its `extended(names)`:
   * fields that have the same type on both sides are copied as bytes, and no string is made for them.
   */
  readonly from: (decoder: RecordDecoder, names: readonly string[]) => RecordEncoder
}

/** A record does not fit the schema of its sink. */
export class EncodeError extends Error {
  override readonly name = "EncodeError"
}

/** How a value of state becomes bytes. Both directions are called once for each changed value and commit. */
export interface ValueCodec<A> {
  readonly write: (value: A, out: ByteWriter) => void
  readonly read: (bytes: Uint8Array, start: number, end: number) => A
}

/** A codec of a user's values that says what it stores, and what it can make of what was stored before. */
export interface StoredCodec extends ValueCodec<unknown> {
  /** Default: `any`, which is compared with nothing. */
  readonly shape?: Shape
  readonly migrations?: readonly StoredMigration[]
}

/** What becomes of values of an earlier shape when a job starts from a savepoint. */
export interface StoredMigration {
  /** Reads the earlier values. */
  readonly from: StoredCodec
  /** Called once for each value. */
  readonly migrate: (before: never) => unknown
}
