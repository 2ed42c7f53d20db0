import type { Input, Keyed, RecordDecoder } from "@headrace/core"
import { Materialise } from "./shapes.ts"

/**
 * How a record looks at a place in the chain: the decoder's view, the view with added fields, or a plain object.
 * Steps that may keep a record are given plain objects; sinks behind a view copy bytes instead of making strings.
 */
export type Shape =
  | { readonly kind: "view"; readonly decoder: RecordDecoder; readonly names: readonly string[] }
  | { readonly kind: "object" }

/** Records that are objects of their own. */
export const OBJECT: Shape = { kind: "object" }

/** A place in the chain while it is built: what flows there. */
export interface Place {
  readonly shape: Shape
  /** The key of a keyed stream. */
  readonly keyed: Keyed | undefined
  /** Behind an operator with state. */
  readonly stateful: boolean
}

/** Behind an operator with state. */
export const results = (key: Keyed): Place => ({ shape: OBJECT, keyed: key, stateful: true })

/** Behind a step whose records are objects of their own. */
export const object = (place: Place): Place => ({ ...place, shape: OBJECT })

/** In front of a step that may keep its records: makes a plain object of a view. */
export const plain = ({ shape }: Place, downstream: Input): Input =>
  shape.kind === "object" ? downstream : new Materialise(shape.decoder, shape.names, downstream)
