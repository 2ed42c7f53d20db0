import type { Tests } from "./automaton.ts"

const MOST = 2 ** 29

/** Asks each test of an event once, whoever wants to know. */
export class Answers {
  private readonly tests: Tests
  /** By test twice the number of the event that it was asked about last, and 1 more if it held. */
  private known: Int32Array
  private event: object | undefined
  private number = 0

  constructor(tests: Tests) {
    this.tests = tests
    this.known = new Int32Array(tests.all.length)
  }

  about(event: object): void {
    this.event = event
    const { length } = this.tests.all
    if (this.known.length < length || this.number === MOST) {
      this.known = new Int32Array(length)
      this.number = 0
    }
    this.number++
  }

  holds(test: number): boolean {
    const answer = this.known[test]!
    if (answer >> 1 === this.number) return (answer & 1) === 1
    const holds = this.tests.all[test]!(this.event!)
    this.known[test] = this.number * 2 + (holds ? 1 : 0)
    return holds
  }
}
