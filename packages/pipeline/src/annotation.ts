import type { Schema, SchemaAST } from "effect"

type Ast = SchemaAST.AST
interface Annotated {
  readonly annotations?: Schema.Annotations.Annotations | undefined
}

/** An annotation of a schema, or of the checks that were added to it. The last one counts. */
export const annotationOf = <A>(ast: Ast, key: string): A | undefined => {
  for (const holder of [...checksOf(ast).reverse(), ast]) {
    const found = holder.annotations?.[key]
    if (found !== undefined) return found as A
  }
  return undefined
}

const checksOf = (ast: Ast): Annotated[] => (ast.checks ?? []).flatMap(unfold)
const unfold = (check: SchemaAST.Check<never>): Annotated[] =>
  check._tag === "FilterGroup" ? [...check.checks.flatMap(unfold), check] : [check]

/** What Effect calls a schema or check of its own, such as `effect/schema/isInt`. */
export const representationOf = (holder: Annotated): string | undefined =>
  (holder.annotations?.representation as { readonly id?: string } | undefined)?.id

/** Whether a number has to be a whole one. */
export const isInteger = (ast: Ast): boolean =>
  checksOf(ast).some(check => representationOf(check) === "effect/schema/isInt")
