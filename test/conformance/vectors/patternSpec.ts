/** Patterns as Flink's cases describe them. */
export interface Event {
  readonly id: number
  readonly key: string
  readonly name: string
  readonly value: number
  readonly ts: number
}

export interface Where {
  readonly field?: keyof Event
  readonly op?: string
  readonly value?: string | number
  readonly and?: readonly Where[]
  readonly or?: readonly Where[]
  readonly not?: Where
  readonly iterative?: Iterative
}

export interface Iterative {
  readonly sum?: "value"
  readonly over?: readonly string[]
  readonly includeCurrent?: boolean
  readonly count?: readonly string[]
  readonly last?: string
  readonly first?: string
  readonly field?: keyof Event
  readonly op: string
  readonly value?: number
  readonly ifEmpty?: boolean
}

export interface Within {
  readonly ms: number
  readonly type: "first-and-last" | "previous-and-current"
}

export interface Element {
  readonly name: string
  readonly contiguity?: "next" | "followedBy" | "followedByAny" | "notNext" | "notFollowedBy"
  readonly where?: Where
  readonly group?: readonly Element[]
  readonly times?: {
    readonly from?: number
    readonly to?: number
    readonly oneOrMore?: boolean
    readonly timesOrMore?: number
    readonly withinMs?: number
  }
  readonly consecutive?: boolean
  readonly allowCombinations?: boolean
  readonly greedy?: boolean
  readonly optional?: boolean
  readonly until?: Where
  readonly within?: Within
}

export interface Spec {
  readonly pattern: readonly Element[]
  readonly within: Within | null
  readonly skip: { readonly type: string; readonly pattern?: string }
  readonly comparator?: { readonly field: keyof Event; readonly order: "asc" | "desc" } | null
}
