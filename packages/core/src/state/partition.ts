import type { ByteWriter } from "../bytes.ts"
import type { Stateful } from "../operator.ts"
import { type EntryRange, EntryReader } from "./block.ts"
import type { BlockIndex } from "./blockIndex.ts"
import { ChangeReader, PUT } from "./changes.ts"
import { StateError } from "./error.ts"
import { isDescriptor, readDescriptor } from "./operator.ts"
import { NAMESPACE_BYTES, OPERATOR_BYTES, readU32 } from "./order.ts"
import { addSize, drainAll, noState, type Spilling, type SpillStore, type StateSize } from "./spill.ts"

/** All state of one partition: what the changelog, checkpoints and restores deal with. */
export class PartitionState implements Spilling {
  private readonly operators = new Map<number, Stateful>()
  private readonly run = new EntryReader()

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

  /**
   * Puts back a block of a checkpoint, and answers how many entries that were; blocks come in order, before any change.
   * What is kept of the entries is copied, and the index is kept. Throws StateError.
   */
  putBack(entries: Uint8Array, index?: BlockIndex): number {
    const { run } = this
    run.reset(entries, 0, entries.length, index)
    while (run.begin()) this.operatorOf(run, PUT).putBack(entries[run.keyStart + NAMESPACE_BYTES]!, run)
    return run.count
  }

  /** Puts back the changes of one changelog record, in their order. Throws StateError. */
  apply(changes: Uint8Array): void {
    const reader = new ChangeReader(changes)
    while (reader.next()) this.operatorOf(reader, reader.kind).restore(reader, reader.kind)
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

  private operatorOf(entry: EntryRange, kind: number): Stateful {
    const { bytes, keyStart, keyEnd } = entry
    const operator = keyEnd - keyStart < OPERATOR_BYTES ? undefined : this.operators.get(readU32(bytes, keyStart))
    if (operator === undefined) throw unknown(entry, kind)
    return operator
  }

  private add(operator: Stateful): void {
    const other = this.operators.get(operator.operator)
    if (other !== undefined)
      throw new StateError("Collision", `Operators "${other.id}" and "${operator.id}" share a hash: rename one of them`)
    this.operators.set(operator.operator, operator)
  }
}

const unknown = ({ bytes, keyStart, keyEnd, valueStart, valueEnd }: EntryRange, kind: number): StateError => {
  if (kind !== PUT || !isDescriptor(bytes.subarray(keyStart, keyEnd)))
    return new StateError("UnknownOperator", "State belongs to an operator that the pipeline does not have")
  return new StateError(
    "UnknownOperator",
    `There is state of an operator "${readDescriptor(bytes.subarray(valueStart, valueEnd)).id}", which the pipeline does not have: ` +
      "put the step back under this id; or take a savepoint with the old pipeline (headrace savepoint create), and start the changed one from it with --allow-non-restored-state"
  )
}
