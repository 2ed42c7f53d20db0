/** A case of Flink's results, as test/vectors holds them. */
export interface Case {
  readonly name: string
  readonly kind: string
  readonly spec: Readonly<Record<string, unknown>>
  readonly steps: readonly Step[]
}

export type Row = Readonly<Record<string, unknown>>

export interface Step {
  readonly event?: Readonly<Record<string, unknown>> & { readonly ts: number; readonly side?: "left" | "right" }
  readonly watermark?: number | "max"
  readonly side?: "left" | "right"
  readonly restore?: boolean
  readonly emits?: readonly Row[]
  readonly late?: readonly Row[]
}

/** How a case is run: its results have to be the same. */
export interface Variant {
  readonly name: string
  /** State is written, thrown away and read again behind each step. */
  readonly restores: boolean
  /** Over which the keys are spread. */
  readonly partitions: number
}

export const VARIANTS: readonly Variant[] = [
  { name: "as it is", restores: false, partitions: 1 },
  { name: "restored after each step", restores: true, partitions: 1 },
  { name: "over 2 partitions", restores: false, partitions: 2 },
  { name: "over 3 partitions, restored", restores: true, partitions: 3 }
]

/** What runs the cases of a kind: returns in words what is wrong, or nothing. */
export type Runner = (one: Case, variant: Variant) => string | undefined

/** Where two lists of rows differ, as multisets; `ordered`: as they stand. */
export const difference = (
  what: string,
  step: number,
  got: readonly unknown[],
  expected: readonly unknown[],
  ordered = false
): string | undefined => {
  const [a, b] = [got, expected].map(rows => {
    const texts = rows.map(row => JSON.stringify(row))
    return ordered ? texts : texts.toSorted()
  }) as [string[], string[]]
  if (a.length === b.length && a.every((text, i) => text === b[i])) return undefined
  return `step ${step + 1}: ${what} [${a.join(", ")}], and not [${b.join(", ")}]`
}
