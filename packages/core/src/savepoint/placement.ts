import { BIGINT_KEY, NUMBER_KEY, readKey, STRING_KEY } from "../key.ts"
import { type KeyBytes, type KeyForm, OWN_FORM, PRODUCER_FORMS, placeOfKey, UNKNOWN_FORM } from "../keyPlace.ts"
import { FIRST_STATE } from "../operators/processLayout.ts"
import { partitionOf } from "../partitioner.ts"
import { StateError } from "../state/error.ts"
import { ValueReader } from "../state/number.ts"
import { HANDLE_BYTES, NAMESPACE_BYTES } from "../state/order.ts"
import type { StateSchema } from "../state/schema.ts"

/** The stream's key that an entry belongs to, in the bytes of its state key. */
export type Owner = KeyBytes

/** Handle numbers up to this one belong to the partition as a whole: event time, and how far it has come. */
const OF_THE_PARTITION = 1
const ROWS = 2

/** Whether an entry belongs to no key, and is in every partition. */
export const isShared = (schema: StateSchema, key: Uint8Array): boolean =>
  schema.kind === "process" && schema.states[key[NAMESPACE_BYTES]! - FIRST_STATE]?.shared === true

/** Whose an entry is; undefined: the partition's. Not for descriptors. */
export const ownerOf = (schema: StateSchema, key: Uint8Array): Owner | undefined => {
  const handle = key[NAMESPACE_BYTES]!
  if (handle <= OF_THE_PARTITION) return undefined
  const kind = key[HANDLE_BYTES]!
  const start = HANDLE_BYTES + 1
  if (schema.kind === "window" && handle === ROWS) return { kind, start, end: key.length }
  // A cell, or an element of a set: the length of the key comes before it.
  const reader = new ValueReader()
  reader.reset(key)
  reader.skip(start)
  const length = reader.varint()
  const from = reader.skip(length)
  return { kind, start: from, end: from + length }
}

/**
 * Where keys belong. State can be split by key only if records are: every key's state has to stand in the partition to
 * which Kafka's default partitioner sends its records. So what is found is looked at first (`see`), and then placed.
 */
export class Placement {
  private readonly own: boolean
  private forms = PRODUCER_FORMS
  private numbers = 0

  /** `own`: not producers have put records into their partitions, but this job, by the bytes of their keys. */
  constructor(own = false) {
    this.own = own
  }

  /** A key that stands in `partition` of `partitions`. Throws StateError `Incompatible` if it should not. */
  see(bytes: Uint8Array, { kind, start, end }: Owner, partition: number, partitions: number): void {
    if (this.own || kind === STRING_KEY) {
      const expected = partitionOf(bytes.subarray(start, end), partitions)
      if (expected !== partition)
        throw misplaced(readKey(bytes, start, end, kind), partition, partitions, `in ${expected}`)
      return
    }
    if (kind !== NUMBER_KEY && kind !== BIGINT_KEY) throw new StateError("Damaged", `A key is of unknown kind ${kind}`)
    this.numbers++
    const key = { kind, start, end }
    this.forms = this.forms.filter(form => placeOfKey(bytes, key, form, partitions) === partition)
    if (this.forms.length === 0)
      throw misplaced(
        readKey(bytes, start, end, kind),
        partition,
        partitions,
        "elsewhere, as decimal text, 32 bits or 64 bits"
      )
  }

  /** Call it when all keys were seen. Throws StateError `Incompatible` where they do not tell how they were written. */
  settle(): void {
    if (this.numbers > 0 && this.forms.length > 1)
      throw new StateError(
        "Incompatible",
        `The ${this.numbers} keys that are numbers do not tell how producers write them (as ${this.forms.join(" or ")}): ` +
          "there are too few to split the state by"
      )
  }

  /** How keys are written. Where none that is a number was seen, nobody knows: a guess would take others' event time for theirs. */
  get form(): KeyForm {
    if (this.own) return OWN_FORM
    return this.numbers === 0 ? UNKNOWN_FORM : this.forms[0]!
  }

  /** The partition of a key, of `partitions`. */
  of(bytes: Uint8Array, owner: Owner, partitions: number): number {
    return placeOfKey(bytes, owner, this.form, partitions)
  }
}

const misplaced = (key: unknown, partition: number, partitions: number, expected: string): StateError =>
  new StateError(
    "Incompatible",
    `There is state of the key ${String(key)} in partition ${partition} of ${partitions}, and Kafka's default partitioner puts this key ${expected}: ` +
      "records are not partitioned by it, so the state cannot be split by it. Keep the number of partitions"
  )
