/** A field of a record. `optional`: it may be missing, since its reader does without it or has a default. */
export interface ShapeField {
  readonly shape: Shape
  readonly optional?: true
}

/**
 * What a stored value looks like once it is JSON: plain data, so that it can be kept beside the values and compared with
 * what another version of the pipeline expects. `up`: the shape that many levels above, in recursive ones.
 */
export type Shape =
  /** `number` may be NaN or infinite, `finite` is neither, `integer` is whole; `any` is nobody's business. */
  | "string"
  | "number"
  | "finite"
  | "integer"
  | "boolean"
  | "null"
  | "any"
  | { readonly literal: string | number | boolean }
  | { readonly list: Shape }
  | { readonly tuple: readonly Shape[]; readonly rest?: Shape }
  | { readonly map: Shape }
  | { readonly record: Readonly<Record<string, ShapeField>> }
  | { readonly union: readonly Shape[] }
  | { readonly up: number }

/** One place at which values of one shape cannot be read as another. */
export interface Misfit {
  /** `.user.name`, `[]` for elements; empty for the value itself. */
  readonly path: string
  /** What was written there; undefined: nothing. */
  readonly was: Shape | undefined
  /** What is expected there. */
  readonly is: Shape
}

/** Whether values of one are values of the other, to the letter. */
export const sameShape = (a: Shape, b: Shape): boolean => JSON.stringify(a) === JSON.stringify(b)

/**
 * Why values of one shape cannot be read as another, by Avro's rules of schema resolution: fields that the reader does
 * not have are skipped, those that only it has need a default, numbers may become wider, and each member of a union has
 * to be readable. Empty if they can.
 */
export const misfits = (was: Shape, is: Shape, path = ""): readonly Misfit[] => {
  if (is === "any" || sameShape(was, is)) return []
  if (typeof was === "object" && "union" in was) return was.union.flatMap(one => misfits(one, is, path))
  if (typeof is === "object" && "union" in is) return closest(was, is.union, is, path)
  if (typeof was === "string" || typeof is === "string") return widens(was, is) ? [] : [{ path, was, is }]
  if ("record" in was) return fromRecord(was.record, was, is, path)
  if ("list" in was && "list" in is) return misfits(was.list, is.list, `${path}[]`)
  if ("map" in was && "map" in is) return misfits(was.map, is.map, `${path}{}`)
  if ("tuple" in was) return fromTuple(was, is, path)
  return [{ path, was, is }]
}

/** From the narrowest to the widest. */
const NUMBERS: readonly unknown[] = ["integer", "finite", "number"]

const widens = (was: Shape, is: Shape): boolean => {
  if (typeof was === "object" && "literal" in was) {
    if (typeof was.literal !== "number") return is === typeof was.literal
    return is === "number" || is === "finite" || (is === "integer" && Number.isInteger(was.literal))
  }
  return NUMBERS.includes(was) && NUMBERS.indexOf(was) < NUMBERS.indexOf(is)
}

/** One member has to be able to read it. Where only one is of its kind, the misfits are those with that one. */
const closest = (was: Shape, members: readonly Shape[], is: Shape, path: string): readonly Misfit[] => {
  const all = members.map(member => misfits(was, member, path))
  if (all.some(found => found.length === 0)) return []
  const records = members.flatMap((member, i) => (kindOf(member) === "record" ? [all[i]!] : []))
  return kindOf(was) === "record" && records.length === 1 ? records[0]! : [{ path, was, is }]
}

const kindOf = (shape: Shape): string => (typeof shape === "string" ? shape : Object.keys(shape)[0]!)

const fromRecord = (
  fields: Readonly<Record<string, ShapeField>>,
  was: Shape,
  is: Exclude<Shape, string>,
  path: string
): readonly Misfit[] => {
  if ("map" in is)
    return Object.entries(fields).flatMap(([name, field]) => misfits(field.shape, is.map, `${path}.${name}`))
  if (!("record" in is)) return [{ path, was, is }]
  return Object.entries(is.record).flatMap(([name, field]) => {
    const before = fields[name]
    const at = `${path}.${name}`
    if (before === undefined) return field.optional ? [] : [{ path: at, was: undefined, is: field.shape }]
    if (before.optional && !field.optional) return [{ path: at, was: undefined, is: field.shape }]
    return misfits(before.shape, field.shape, at)
  })
}

const fromTuple = (
  was: Extract<Shape, { tuple: unknown }>,
  is: Exclude<Shape, string>,
  path: string
): readonly Misfit[] => {
  if ("list" in is)
    return [...was.tuple, ...(was.rest === undefined ? [] : [was.rest])].flatMap(one =>
      misfits(one, is.list, `${path}[]`)
    )
  if (!("tuple" in is) || is.tuple.length !== was.tuple.length || (is.rest === undefined) !== (was.rest === undefined))
    return [{ path, was, is }]
  const rest = was.rest === undefined ? [] : misfits(was.rest, is.rest!, `${path}[]`)
  return [...was.tuple.flatMap((one, i) => misfits(one, is.tuple[i]!, `${path}[${i}]`)), ...rest]
}

/** A shape as TypeScript would put it. */
export const showShape = (shape: Shape | undefined): string => {
  if (shape === undefined) return "missing"
  if (typeof shape === "string") return shape
  if ("literal" in shape) return JSON.stringify(shape.literal)
  if ("list" in shape) return `list of ${showShape(shape.list)}`
  if ("map" in shape) return `{ [key]: ${showShape(shape.map)} }`
  if ("union" in shape) return shape.union.map(showShape).join(" | ")
  if ("up" in shape) return "…"
  if ("tuple" in shape) {
    const rest = shape.rest === undefined ? [] : [`...${showShape(shape.rest)}`]
    return `[${[...shape.tuple.map(showShape), ...rest].join(", ")}]`
  }
  const fields = Object.entries(shape.record).map(
    ([name, field]) => `${name}${field.optional ? "?" : ""}: ${showShape(field.shape)}`
  )
  return fields.length === 0 ? "{}" : `{ ${fields.join(", ")} }`
}
