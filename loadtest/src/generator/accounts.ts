import { partitionOf } from "@headrace/core"

const PREFIX = "acct"
const DIGITS = 6
const PLANTED = "plnt"
const RUN_DIGITS = 4

/** The most accounts that fit the ten characters of a name. */
export const MAX_ACCOUNTS = 10 ** DIGITS

const accountName = (index: number): string => PREFIX + String(index).padStart(DIGITS, "0")

/** An account of which only one run knows: its index is beyond those of all others. */
export const plantedName = (run: number, number: number): { readonly name: string; readonly index: number } => ({
  name: PLANTED + String(run).padStart(RUN_DIGITS, "0") + String(number).padStart(DIGITS, "0"),
  index: MAX_ACCOUNTS + number
})

/** The index in a name; NaN for any other string. */
export const accountIndex = (name: string): number => {
  if (name.length === PREFIX.length + DIGITS && name.startsWith(PREFIX)) return Number(name.slice(PREFIX.length))
  return name.startsWith(PLANTED) ? MAX_ACCOUNTS + Number(name.slice(PLANTED.length + RUN_DIGITS)) : Number.NaN
}

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
