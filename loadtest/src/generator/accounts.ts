import { partitionOf } from "@headrace/core"

const PREFIX = "acct"
const DIGITS = 6

/** The most accounts that fit the ten characters of a name. */
export const MAX_ACCOUNTS = 10 ** DIGITS

export const accountName = (index: number): string => PREFIX + String(index).padStart(DIGITS, "0")

/** The index in a name; NaN for any other string. */
export const accountIndex = (name: string): number =>
  name.length === PREFIX.length + DIGITS && name.startsWith(PREFIX) ? Number(name.slice(PREFIX.length)) : Number.NaN

/** The accounts of a run: each name, its bytes as a Kafka key, and its partition, made once. */
export class Accounts {
  readonly names: readonly string[]
  readonly keys: readonly Uint8Array[]
  readonly partitions: Uint16Array

  constructor(count: number, partitions: number) {
    const utf8 = new TextEncoder()
    this.names = Array.from({ length: count }, (_, index) => accountName(index))
    this.keys = this.names.map(name => utf8.encode(name))
    this.partitions = Uint16Array.from(this.keys, key => partitionOf(key, partitions))
  }

  /** Some account that lives in the partition; undefined if none does. */
  in(partition: number): number | undefined {
    const index = this.partitions.indexOf(partition)
    return index < 0 ? undefined : index
  }
}
