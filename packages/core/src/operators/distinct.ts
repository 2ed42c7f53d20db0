import type { Distinct } from "../aggregation.ts"
import { ByteWriter } from "../bytes.ts"
import { type Keyed, writeKey } from "../key.ts"
import type { Group } from "../state/group.ts"
import type { GroupedState } from "../state/grouped.ts"

/** Distinct values in sets beside the rows of a group. */
export class GroupedDistinct implements Distinct {
  /** Of the record that is being added. */
  group!: Group
  private readonly state: GroupedState
  private readonly key: Keyed
  private readonly element = new ByteWriter(64)

  constructor(state: GroupedState, key: Keyed) {
    this.state = state
    this.key = key
  }

  /** An element is `key length · key · kind of value · value`. */
  isNew(set: number, value: string | number): boolean {
    const { element, key } = this
    element.clear()
    element.varint(key.end - key.start)
    element.copy(key.bytes, key.start, key.end)
    const kindAt = element.length
    element.u8(0)
    element.bytes[kindAt] = writeKey(element, value)
    return this.state.addTo(this.group, set, element.bytes, 0, element.length)
  }
}
