/** What the rows of a merged front were before a pane came into it, by the arrival of the pane's rows. */
export class Undo {
  private runs: Int32Array
  private numbers: Float64Array
  private readonly values: unknown[][]
  private readonly width: number

  constructor(rows: number, width: number, values: number) {
    this.width = width
    this.runs = new Int32Array(rows).fill(-1)
    this.numbers = new Float64Array(rows * width)
    this.values = Array.from({ length: values }, () => [])
  }

  get size(): number {
    return this.runs.length
  }

  get byteSize(): number {
    return this.runs.byteLength + this.numbers.byteLength
  }

  /** Keeps a row as it is. */
  keep(arrival: number, run: number, numbers: Float64Array, base: number, values: readonly unknown[][]): void {
    if (arrival >= this.runs.length) this.grow(arrival + 1)
    this.runs[arrival] = run
    for (let i = 0, at = arrival * this.width; i < this.width; i++) this.numbers[at + i] = numbers[base + i]!
    for (let i = 0; i < values.length; i++) this.values[i]![arrival] = values[i]![run]
  }

  /** Names each row that was kept. */
  restore(each: (run: number, arrival: number) => void): void {
    for (let arrival = 0; arrival < this.runs.length; arrival++)
      if (this.runs[arrival]! >= 0) each(this.runs[arrival]!, arrival)
  }

  giveBack(arrival: number, run: number, numbers: Float64Array, base: number, values: unknown[][]): void {
    for (let i = 0, at = arrival * this.width; i < this.width; i++) numbers[base + i] = this.numbers[at + i]!
    for (let i = 0; i < values.length; i++) values[i]![run] = this.values[i]![arrival]
  }

  private grow(rows: number): void {
    const { runs, numbers } = this
    this.runs = new Int32Array(rows * 2).fill(-1)
    this.runs.set(runs)
    this.numbers = new Float64Array(this.runs.length * this.width)
    this.numbers.set(numbers)
  }
}
