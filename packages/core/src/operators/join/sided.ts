import type { StoredCodec } from "../../codec.ts"
import type { ShapeField } from "../../state/shape.ts"
import type { Kept } from "../window/elements.ts"
import type { JoinSide, Side } from "./sides.ts"

/** An event and which side it is of. */
export interface Sided {
  readonly side: Side
  readonly record: object
}

/** The events of one side, in their order. */
export const sideOf = (elements: readonly Kept[], side: Side): readonly object[] =>
  elements.flatMap(({ value }) => ((value.record as Sided).side === side ? [(value.record as Sided).record] : []))

/** The side, then the record by the side's codec. */
export const sidedCodec = (left: JoinSide, right: JoinSide): StoredCodec => ({
  shape: { record: { left: shapeOf(left), right: shapeOf(right) } },
  write: (value, out) => {
    const { side, record } = value as Sided
    out.u8(side === "left" ? 0 : 1)
    ;(side === "left" ? left : right).codec.write(record, out)
  },
  read: (bytes, start, end): Sided => {
    const side = bytes[start] === 0 ? "left" : "right"
    return { side, record: (side === "left" ? left : right).codec.read(bytes, start + 1, end) as object }
  }
})

const shapeOf = ({ codec }: JoinSide): ShapeField => ({ shape: codec.shape ?? "any" })
