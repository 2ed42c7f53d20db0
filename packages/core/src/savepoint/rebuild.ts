import { ByteWriter } from "../bytes.ts"
import { FIRED, firedKeys } from "../operators/firedKeys.ts"
import type { Entry } from "../state/block.ts"
import { ChangeReader, writePut } from "../state/changes.ts"
import { StateError } from "../state/error.ts"
import { ChangeSet } from "../state/merge.ts"
import { isDescriptor, readDescriptor, type StateDescriptor } from "../state/operator.ts"
import { NAMESPACE_BYTES, NO_NAMESPACE, readU32, writeStateKey } from "../state/order.ts"
import type { StateDefinition } from "../state/schema.ts"
import { isShared, ownerOf } from "./placement.ts"
import { contributors, renumbered } from "./rescale.ts"
import { type Rewrite, rewriteState } from "./rewrite.ts"
import type { OwnValue, Survey } from "./survey.ts"

const OWN_VALUE = 1
const BLOCK_BYTES = 1 << 20

/** An operator of the savepoint; without a rewrite the pipeline does not have it. */
interface Operator {
  readonly written: StateDescriptor
  readonly rewrite: Rewrite | undefined
}

/**
 * The state of one partition, made of a savepoint's for another version of the pipeline: what it has no use for is left
 * out, the rest is rewritten. Where the number of partitions changes, it takes those keys that belong here from each of
 * `parents`. Memory holds the partition's state, as bytes.
 */
export class Rebuild {
  /** The partitions of the savepoint whose entries it wants, in the order of the savepoint. */
  readonly parents: readonly number[]
  private readonly definitions: ReadonlyMap<string, StateDefinition>
  private readonly partition: number
  private readonly survey: Survey | undefined
  private readonly operators = new Map<number, Operator>()
  private readonly changes = new ChangeSet()
  private readonly block = new ByteWriter(1 << 16)
  private readonly key = new ByteWriter(64)
  private readonly value = new ByteWriter(64)

  /**
   * `definitions`: of the pipeline, by the id under which the savepoint has the operator. `survey`: of all partitions of
   * the savepoint, where their number changes.
   */
  constructor(definitions: ReadonlyMap<string, StateDefinition>, partition: number, survey?: Survey) {
    this.definitions = definitions
    this.partition = partition
    this.survey = survey
    this.parents = survey === undefined ? [partition] : contributors(partition, survey.before, survey.after)
  }

  /** Takes an entry of a parent; those of one parent come in key order. Throws StateError. */
  take(parent: number, key: Uint8Array, value: Uint8Array): void {
    const operator = this.operatorOf(key, value)
    if (operator.rewrite === undefined) return
    const { schema } = operator.written
    if (isDescriptor(key)) return this.put(operator.rewrite(key, value))
    const owner = ownerOf(schema, key)
    if (this.survey === undefined) return this.put(operator.rewrite(key, value))
    // Each parent has all of it.
    if (isShared(schema, key)) return parent === this.parents[0] ? this.put(operator.rewrite(key, value)) : undefined
    // What belongs to the partition as a whole comes from the survey.
    if (owner === undefined || this.survey.placement.of(key, owner, this.survey.after) !== this.partition) return
    const [place, count] = [this.parents.indexOf(parent), this.parents.length]
    // Which keys are ahead as well: another one may be by now.
    if (schema.kind === "window" && key[NAMESPACE_BYTES] === FIRED) return
    const entry = count === 1 ? ([key, value] as const) : renumbered(schema, [key, value], place, count)
    this.put(operator.rewrite(...entry))
  }

  /** All of it, sorted by key. Call it once, behind the last entry. */
  *entries(): Generator<Entry> {
    for (const own of this.survey?.ownValues(this.partition) ?? []) this.putOwn(own)
    this.flush()
    yield* this.changes.merging().rest()
  }

  private putOwn({ operator, descriptor, value, fired }: OwnValue): void {
    const rewrite = this.operators.get(operator)?.rewrite
    if (rewrite === undefined || value === undefined) return
    const key = new ByteWriter(16)
    writeStateKey(key, operator, NO_NAMESPACE, OWN_VALUE)
    this.put(rewrite(key.written(), value))
    const cells = firedKeys(descriptor.id)
    for (const { key, fired: time } of fired) cells.put(key, undefined, undefined, time)
    const changes = new ByteWriter(64)
    cells.snapshot(changes)
    for (const reader = new ChangeReader(changes.written()); reader.next(); )
      this.put(rewrite(reader.key(), reader.value()!))
  }

  private operatorOf(key: Uint8Array, value: Uint8Array): Operator {
    const id = readU32(key, 0)
    const known = this.operators.get(id)
    if (known !== undefined) return known
    if (!isDescriptor(key)) throw new StateError("Damaged", "State comes before the descriptor of its operator")
    const written = readDescriptor(value)
    const definition = this.definitions.get(written.id)
    const operator = { written, rewrite: definition && rewriteState(written, definition) }
    this.operators.set(id, operator)
    return operator
  }

  private put(entry: Entry | undefined): void {
    if (entry === undefined) return
    this.key.clear()
    this.value.clear()
    this.key.copy(entry[0], 0, entry[0].length)
    this.value.copy(entry[1], 0, entry[1].length)
    writePut(this.block, this.key, this.value)
    if (this.block.length >= BLOCK_BYTES) this.flush()
  }

  private flush(): void {
    this.changes.add(this.block.written())
    this.block.clear()
  }
}
