/** Of a value, as long as none of its state was written or read: more than most take. */
const UNKNOWN_BYTES = 256

/** What one value takes on average. */
export class Typical {
  bytes = UNKNOWN_BYTES
}

/**
 * Bytes that codecs made of values on the heap. One that no codec has written yet, since it came in the open transaction, counts as
 * much as the others on average: it may be a transaction that brings most of what there is. What was there before counts as it was
 * written last, also while it grows. A codec makes nothing of all values, or of none.
 */
export class Weight {
  private readonly typical: Typical
  private bytes = 0
  private weighed = 0

  /** `typical` is shared with those whose values are of the same kind. */
  constructor(typical: Typical = new Typical()) {
    this.typical = typical
  }

  /** The codec made of a value so many bytes, and as many of it `before`; 0 if it never did. */
  weigh(before: number, bytes: number): void {
    if (before === 0 && bytes > 0) this.weighed++
    else if (before > 0 && bytes === 0) this.weighed--
    this.bytes += bytes - before
    // All values of some types take nothing.
    if (this.weighed === 0 && before === 0) this.typical.bytes = 0
  }

  /** A value has gone. */
  leave(bytes: number): void {
    if (bytes > 0) this.weigh(bytes, 0)
  }

  /** What all of them come to, of which there are so many. */
  of(count: number): number {
    if (this.weighed > 0) this.typical.bytes = this.bytes / this.weighed
    return this.bytes + Math.max(0, count - this.weighed) * this.typical.bytes
  }
}
