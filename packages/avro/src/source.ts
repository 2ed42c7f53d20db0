/**
 * Source text for `new Function`, with the values that it refers to. Names and texts of schemas never enter the
 * source but as constants or by `quote`, so that no schema can inject code.
 */
export class Source {
  private readonly lines: string[] = []
  private readonly names: string[] = []
  private readonly values: unknown[] = []

  /** The name under which the code finds `value`. */
  constant(value: unknown): string {
    const known = this.values.indexOf(value)
    if (known !== -1) return this.names[known]!
    const name = `K${this.names.length}`
    this.bind(name, value)
    return name
  }

  bind(name: string, value: unknown): void {
    this.names.push(name)
    this.values.push(value)
  }

  add(...lines: readonly string[]): void {
    this.lines.push(...lines)
  }

  /** Runs the code, whose last line returns what is wanted. */
  run<A>(): A {
    const body = `"use strict"\n${this.lines.join("\n")}`
    return new Function(...this.names, body)(...this.values) as A
  }
}

export const quote = (name: string): string => JSON.stringify(name)

/** A property name of an object literal: `__proto__` is a name like others only when it is computed. */
export const property = (name: string): string => (name === "__proto__" ? `["__proto__"]` : quote(name))
