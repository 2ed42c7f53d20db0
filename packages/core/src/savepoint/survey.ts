import { StateError } from "../state/error.ts"
import { isDescriptor, readDescriptor, type StateDescriptor } from "../state/operator.ts"
import { readU32 } from "../state/order.ts"
import { isShared, ownerOf, Placement } from "./placement.ts"
import { combined, contributors } from "./rescale.ts"

/** What one partition holds of an operator, beside what belongs to keys. */
interface Found {
  readonly descriptor: StateDescriptor
  /** Event time, and how far it has come. */
  own: Uint8Array | undefined
}

/** What a partition gets of an operator that belongs to no key. */
export interface OwnValue {
  readonly operator: number
  readonly value: Uint8Array | undefined
}

/**
 * Looks at all partitions of a topic before their state is split by key into another number of them: whether each key
 * stands where its records are, and what becomes of event time. Each partition's entries come in key order.
 */
export class Survey {
  readonly before: number
  readonly after: number
  readonly placement: Placement
  private readonly partitions: readonly Map<number, Found>[]

  /** `own`: records were put into their partitions by the bytes of their keys, as they do that cross between stages. */
  constructor(before: number, after: number, own = false) {
    this.before = before
    this.after = after
    this.placement = new Placement(own)
    this.partitions = Array.from({ length: before }, () => new Map())
  }

  /** Throws StateError. */
  take(partition: number, key: Uint8Array, value: Uint8Array): void {
    const operators = this.partitions[partition]!
    const operator = readU32(key, 0)
    if (isDescriptor(key)) {
      operators.set(operator, { descriptor: readDescriptor(value), own: undefined })
      return
    }
    const found = operators.get(operator)
    if (found === undefined) throw new StateError("Damaged", "State comes before the descriptor of its operator")
    if (isShared(found.descriptor.schema, key)) return
    const owner = ownerOf(found.descriptor.schema, key)
    if (owner === undefined) {
      found.own = new Uint8Array(value)
      return
    }
    this.placement.see(key, owner, partition, this.before)
  }

  /** What partition `partition` of the new ones gets. Throws StateError `Incompatible` where that cannot be right. */
  ownValues(partition: number): readonly OwnValue[] {
    this.placement.settle()
    const parents = contributors(partition, this.before, this.after)
    const all = parents.flatMap(one => [...this.partitions[one]!])
    const operators = new Map(all.map(([id, { descriptor }]) => [id, descriptor] as const))
    return [...operators].map(([operator, descriptor]) => {
      const values = parents.map(one => ({ partition: one, own: this.partitions[one]!.get(operator)?.own }))
      return { operator, value: combined(descriptor, values, this.before, this.placement.form) }
    })
  }
}
