import { EncodeError } from "@headrace/core"

/** A value that does not fit its place; the path grows outwards while it is thrown through the containers. */
export class Misfit {
  readonly path: string[] = []
  readonly expected: string
  readonly got: string
  constructor(expected: string, got: string) {
    this.expected = expected
    this.got = got
  }
}

export function misfit(expected: string, value: unknown): never {
  throw new Misfit(expected, kindOf(value))
}

/** Adds one more container to the place of a misfit. Other errors pass. */
export const within = (part: string, error: unknown): unknown => {
  if (error instanceof Misfit) error.path.unshift(part)
  return error
}

/** What the user sees: the field's path, what it should hold, and what kind of value came (never the value itself). */
export const encodeError = (record: string, error: unknown): unknown => {
  if (!(error instanceof Misfit)) return error
  const path = error.path.join(".").replaceAll(".[", "[")
  const place = path === "" ? record : `${record}.${path}`
  return new EncodeError(`${place} must be ${error.expected}, but is ${error.got}`)
}

const kindOf = (value: unknown): string => {
  if (value === undefined) return "missing"
  if (value === null) return "null"
  if (typeof value === "number") return kindOfNumber(value)
  if (typeof value === "bigint") return "a bigint"
  if (typeof value === "string") return "a string"
  if (Array.isArray(value)) return "an array"
  if (typeof value !== "object") return `a ${typeof value}`
  const name = Object.getPrototypeOf(value)?.constructor?.name
  return name === undefined || name === "Object" ? "an object" : `a ${name}`
}

const kindOfNumber = (value: number): string => {
  if (!Number.isFinite(value)) return String(value)
  if (!Number.isInteger(value)) return "a number with a fraction"
  if (!Number.isSafeInteger(value)) return "a number beyond ±2^53"
  return value === (value | 0) ? "a number" : "an integer beyond 32 bits"
}
