/**
 * What a group's coordinator answers when it is asked for committed offsets: for a while, after it moved, what it once
 * knew (docs/guarantees.md, Brokers that forget). What is committed meanwhile it knows.
 */
export class Memory<Key, Value> {
  private readonly truth: ReadonlyMap<Key, Value>
  private kept: ReadonlyMap<Key, Value> = new Map()
  private forgot: ReadonlyMap<Key, Value> | undefined

  constructor(truth: ReadonlyMap<Key, Value>) {
    this.truth = truth
  }

  /** This is what it goes back to. */
  keep(): void {
    this.kept = new Map(this.truth)
  }

  goBack(): void {
    this.forgot = new Map(this.truth)
  }

  /** It has read its log. */
  recall(): void {
    this.forgot = undefined
  }

  get gone(): boolean {
    return this.forgot !== undefined
  }

  get(key: Key): Value | undefined {
    const value = this.truth.get(key)
    return this.forgot !== undefined && this.forgot.get(key) === value ? this.kept.get(key) : value
  }
}
