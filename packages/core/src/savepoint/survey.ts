import { StateError } from "../state/error.ts"
import { isDescriptor, readDescriptor, type StateDescriptor } from "../state/operator.ts"
import { readU32 } from "../state/order.ts"
import { type FiredKey, Firing } from "./firing.ts"
import { isShared, ownerOf, Placement } from "./placement.ts"
import { combined, contributors, progressOf } from "./rescale.ts"

/** What one partition holds of an operator, beside what belongs to keys. */
interface Found {
  readonly descriptor: StateDescriptor
  /** Event time, and how far it has come. */
  own: Uint8Array | undefined
  /** Of a window: which keys are ahead of that. */
  firing: Firing | undefined
}

/** What a partition gets of an operator that does not stand in the savepoint as it is. */
export interface OwnValue {
  readonly operator: number
  readonly descriptor: StateDescriptor
  /** What belongs to no key. */
  readonly value: Uint8Array | undefined
  readonly fired: readonly FiredKey[]
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
      operators.set(operator, { descriptor: readDescriptor(value), own: undefined, firing: undefined })
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
    // How far the window has come stands before all that belongs to keys.
    const { schema } = found.descriptor
    if (schema.kind === "window") (found.firing ??= new Firing(schema, progressOf(found.own))).take(key, value, owner)
  }

  /** What partition `partition` of the new ones gets. Throws StateError `Incompatible` where that cannot be right. */
  ownValues(partition: number): readonly OwnValue[] {
    this.placement.settle()
    const parents = contributors(partition, this.before, this.after)
    const all = parents.flatMap(one => [...this.partitions[one]!])
    const operators = new Map(all.map(([id, { descriptor }]) => [id, descriptor] as const))
    return [...operators].map(([operator, descriptor]) => {
      const found = parents.map(one => this.partitions[one]!.get(operator))
      const values = parents.map((one, i) => ({ partition: one, own: found[i]?.own }))
      const value = combined(descriptor, values, this.before, this.placement.form)
      return { operator, descriptor, value, fired: found.flatMap(one => this.firedIn(partition, one?.firing)) }
    })
  }

  private firedIn(partition: number, firing: Firing | undefined): readonly FiredKey[] {
    return (firing?.keys ?? []).filter(({ bytes, owner }) => this.placement.of(bytes, owner, this.after) === partition)
  }
}
