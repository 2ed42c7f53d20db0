import {
  END_OF_TIME,
  type Entry,
  isDescriptor,
  operatorOf,
  ownerOf,
  readDescriptor,
  type StateDescriptor,
  StateError,
  type StateSchema,
  TIME_BYTES,
  timeCodec
} from "@headrace/core"
import type { OperatorContents } from "./manifest.ts"

interface Counted {
  readonly descriptor: StateDescriptor
  entries: number
  bytes: number
  /** Of each handle, how many keys have entries there: those of a key stand together. */
  readonly keys: Map<number, number>
  last: Uint8Array | undefined
}

/** Counts what the partitions of a topic hold of each operator. Entries of a partition come in key order. */
export class Contents {
  private readonly topic: string
  private taken = 0
  private timed = 0
  private endless = 0
  private readonly operators = new Map<number, Counted>()

  constructor(topic: string) {
    this.topic = topic
  }

  /** How many entries there are, descriptors included. */
  get entries(): number {
    return this.taken
  }

  /** Event time is at its end wherever it is kept, and it is somewhere. */
  get ended(): boolean {
    return this.timed > 0 && this.endless === 0
  }

  /** Counts entries as they are pulled. */
  *through(entries: Iterable<Entry>): Generator<Entry> {
    for (const entry of entries) {
      this.take(...entry)
      yield entry
    }
  }

  /** Adds what another partition holds. */
  add(other: Contents): void {
    for (const [operator, one] of other.operators) {
      this.describe(operator, one.descriptor)
      const counted = this.operators.get(operator)!
      counted.entries += one.entries
      counted.bytes += one.bytes
      for (const [handle, keys] of one.keys) counted.keys.set(handle, (counted.keys.get(handle) ?? 0) + keys)
    }
  }

  private take(key: Uint8Array, value: Uint8Array): void {
    this.taken++
    const operator = operatorOf(key)
    if (isDescriptor(key)) this.describe(operator, readDescriptor(value))
    const counted = this.operators.get(operator)
    if (counted === undefined) throw new StateError("Damaged", "State comes before the descriptor of its operator")
    counted.bytes += key.length + value.length
    if (isDescriptor(key)) return
    counted.entries++
    const { schema } = counted.descriptor
    const owner = ownerOf(schema, key)
    if (owner === undefined) return this.time(schema, value)
    // Namespace, handle and key: what differs in it is another key's, or the same one's in another window.
    const whose = key.subarray(0, owner.end)
    if (counted.last === undefined || !same(counted.last, whose)) {
      const handle = key[12]!
      counted.keys.set(handle, (counted.keys.get(handle) ?? 0) + 1)
    }
    counted.last = new Uint8Array(whose)
  }

  private time({ kind }: StateSchema, value: Uint8Array): void {
    if (kind !== "clock" && kind !== "stage") return
    this.timed++
    if (timeCodec.read(value, 0, TIME_BYTES) !== END_OF_TIME) this.endless++
  }

  all(): readonly OperatorContents[] {
    return [...this.operators.values()].map(({ descriptor, entries, bytes, keys }) => ({
      id: descriptor.id,
      topic: this.topic,
      schema: descriptor.schema,
      entries,
      keys: Math.max(0, ...keys.values()),
      bytes
    }))
  }

  private describe(operator: number, descriptor: StateDescriptor): void {
    const known = this.operators.get(operator)
    if (known === undefined)
      this.operators.set(operator, { descriptor, entries: 0, bytes: 0, keys: new Map(), last: undefined })
    else if (JSON.stringify(known.descriptor) !== JSON.stringify(descriptor))
      throw new StateError(
        "Incompatible",
        `The partitions of ${this.topic} hold state of "${descriptor.id}" in two schemas: run the job until all of them have committed`
      )
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && a.every((byte, i) => byte === b[i])
