import type { Tests } from "./automaton.ts"

/** Asks each test of an event once, whoever wants to know. */
export class Answers {
  private readonly tests: Tests
  private known: Int8Array
  private event: object | undefined

  constructor(tests: Tests) {
    this.tests = tests
    this.known = new Int8Array(tests.all.length)
  }

  about(event: object): void {
    this.event = event
    if (this.known.length < this.tests.all.length) this.known = new Int8Array(this.tests.all.length)
    else this.known.fill(0)
  }

  holds(test: number): boolean {
    const answer = this.known[test]
    if (answer !== 0) return answer === 1
    const holds = this.tests.all[test]!(this.event!)
    this.known[test] = holds ? 1 : -1
    return holds
  }
}
