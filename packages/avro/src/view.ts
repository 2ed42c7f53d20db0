import { Interner } from "./intern.ts"
import { DEFAULT, isNumber, NULL, type Slot, type State } from "./slots.ts"
import { property, quote, Source } from "./source.ts"
import { defaultOf, read } from "./value.ts"

/** The reusable view of a reader schema, compiled. */
export interface View {
  readonly view: object
  readonly materialise: () => object
}

/** Compiles getters over `state`, on a prototype so that views and their extensions share them. */
export const compileView = (slots: readonly Slot[], state: State): View => {
  const source = new Source()
  source.bind("S", state)
  source.bind("F", state.numbers)
  source.bind("read", read)
  const values = slots.map(slot => getterOf(slot, source))
  source.add(
    "class View {",
    ...slots.map((slot, i) => `get [${quote(slot.field.name)}]() { return ${values[i]} }`),
    "}"
  )
  source.add(
    `const materialise = () => ({ ${slots.map((slot, i) => `${property(slot.field.name)}: ${values[i]}`).join(", ")} })`
  )
  source.add("return { view: new View(), materialise }")
  return source.run<View>()
}

const getterOf = (slot: Slot, source: Source): string => {
  const found = presentOf(slot, source)
  const absent = slot.field.optional ? "undefined" : "null"
  if (slot.form === "scalar") return slot.nullable ? `(S.n${slot.index} ? ${absent} : ${found})` : found
  const start = `S.s${slot.index}`
  const orNull = slot.nullable ? `${start} === ${NULL} ? ${absent} : ` : ""
  const orDefault = slot.field.default === undefined ? "" : `${start} === ${DEFAULT} ? ${defaultIn(slot, source)} : `
  return `(${orNull}${orDefault}${found})`
}

const defaultIn = (slot: Slot, source: Source): string => `${source.constant(() => defaultOf(slot.field))}()`

const presentOf = (slot: Slot, source: Source): string => {
  const i = slot.index
  if (slot.form === "scalar") return scalarOf(slot, source)
  if (slot.form === "lazy") return `(read(S.r${i}, S.b, S.s${i}, S.end)${slot.field.optional ? " ?? undefined" : ""})`
  if (slot.inner.kind === "bytes") return `Uint8Array.prototype.slice.call(S.b, S.s${i}, S.e${i})`
  return `${source.constant(new Interner())}.get(S.b, S.s${i}, S.e${i})`
}

const scalarOf = (slot: Slot, source: Source): string => {
  if (isNumber(slot)) return `F[${slot.index}]`
  return slot.inner.kind === "enum" ? `${source.constant(slot.inner.symbols)}[S.v${slot.index}]` : `S.v${slot.index}`
}
