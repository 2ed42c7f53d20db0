/**
 * Bytes that codecs made of values on the heap. One that no codec has written yet, since it came in the open transaction, counts as
 * much as the others on average: it may be a transaction that brings most of what there is. Before any was written nothing is known.
 */
export class Weight {
  private bytes = 0
  private weighed = 0
  private average = 0

  /** The codec made of a value so many bytes, and as many of it `before`; 0 if it never did. */
  weigh(before: number, bytes: number): void {
    if (before === 0 && bytes > 0) this.weighed++
    else if (before > 0 && bytes === 0) this.weighed--
    this.bytes += bytes - before
  }

  /** A value has gone. */
  leave(bytes: number): void {
    this.weigh(bytes, 0)
  }

  /** What all of them come to, of which there are so many. */
  of(count: number): number {
    if (this.weighed > 0) this.average = this.bytes / this.weighed
    return this.bytes + Math.max(0, count - this.weighed) * this.average
  }
}
