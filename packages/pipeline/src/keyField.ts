const NAME = "[\\p{ID_Start}$_][\\p{ID_Continue}$]*"
const BODY = `[\\s(]*\\k<record>[\\s)]*(?:\\.\\s*(?<field>${NAME})|\\[\\s*(?<quote>["'])(?<quoted>${NAME})\\k<quote>\\s*\\])[\\s)]*`
const PARAMETER = `\\s*\\(?\\s*(?<record>${NAME})\\s*,?\\s*\\)?\\s*`
const RETURN = `\\{\\s*return\\b(?:${BODY});?\\s*\\}`

const SHAPES = [
  new RegExp(`^${PARAMETER}=>${BODY}$`, "u"),
  new RegExp(`^${PARAMETER}=>\\s*${RETURN}$`, "u"),
  new RegExp(`^function\\b\\s*(?:${NAME})?${PARAMETER}${RETURN}$`, "u")
]

/**
 * The field that a function reads if that is all it does: `p => p.account` and the same as transpilers write it.
 * Anything more (a default, a chain, a comment) gives undefined, which only costs speed.
 */
export const keyField = (key: (record: never) => unknown): string | undefined => {
  const source = Function.prototype.toString.call(key)
  for (const shape of SHAPES) {
    const groups = shape.exec(source)?.groups
    if (groups !== undefined) return groups.field ?? groups.quoted
  }
  return undefined
}
