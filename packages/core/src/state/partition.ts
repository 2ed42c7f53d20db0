import type { ByteWriter } from "../bytes.ts"
import type { Stateful } from "../operator.ts"
import { ChangeReader, PREFIX_TOMBSTONE } from "./changes.ts"
import { StateError } from "./error.ts"
import { isDescriptor, readDescriptor } from "./operator.ts"
import { readU32 } from "./order.ts"
import { addSize, drainAll, noState, type Spilling, type SpillStore, type StateSize } from "./spill.ts"

/** All state of one partition: what the changelog, checkpoints and restores deal with. */
export class PartitionState implements Spilling {
  private readonly operators = new Map<number, Stateful>()

  /** Throws StateError `Collision` if two ids are the same or share a hash. */
  constructor(operators: Iterable<Stateful>) {
    for (const operator of operators) this.add(operator)
  }

  /** Writes what changed since the last call. Call it at the barrier, before the next batch touches state. */
  delta(out: ByteWriter): void {
    for (const operator of this.operators.values()) operator.delta(out)
  }

  /** Writes everything. */
  snapshot(out: ByteWriter): void {
    for (const operator of this.operators.values()) operator.snapshot(out)
  }

  /** Puts back one entry of a checkpoint, or with no value one tombstone of a changelog. Throws StateError. */
  restore(key: Uint8Array, value: Uint8Array | undefined, prefix = false): void {
    const operator = key.length < 4 ? undefined : this.operators.get(readU32(key, 0))
    if (operator === undefined) throw unknown(key, value)
    operator.restore(key, value, prefix)
  }

  /** Puts back the changes of one changelog record, in their order. Throws StateError. */
  apply(changes: Uint8Array): void {
    const reader = new ChangeReader(changes)
    while (reader.next()) this.restore(reader.key(), reader.value(), reader.kind === PREFIX_TOMBSTONE)
  }

  size(): StateSize {
    const sum = noState()
    for (const { memory } of this.operators.values()) addSize(sum, memory.size())
    return sum
  }

  age(store: SpillStore): void {
    for (const { memory } of this.operators.values()) memory.age(store)
  }

  drain(limit: number): number {
    return drainAll(
      Array.from(this.operators.values(), ({ memory }) => memory),
      limit
    )
  }

  private add(operator: Stateful): void {
    const other = this.operators.get(operator.operator)
    if (other !== undefined)
      throw new StateError("Collision", `Operators "${other.id}" and "${operator.id}" share a hash: rename one of them`)
    this.operators.set(operator.operator, operator)
  }
}

const unknown = (key: Uint8Array, value: Uint8Array | undefined): StateError => {
  if (value === undefined || !isDescriptor(key))
    return new StateError("UnknownOperator", "State belongs to an operator that the pipeline does not have")
  return new StateError(
    "UnknownOperator",
    `There is state of an operator "${readDescriptor(value).id}", which the pipeline does not have: ` +
      "put the step back under this id; or take a savepoint with the old pipeline (headrace savepoint create), and start the changed one from it with --allow-non-restored-state"
  )
}
