/** What of a text is kept, in bytes of UTF-8. */
const MAX_BYTES = 1024
/** A number that is odd while the text changes, and its length; then when it was said. */
const HEAD_BYTES = 16

/** The last warning of a thread, in shared memory: the thread writes, the main thread reads at any time. */
export class LastWarning {
  static readonly BYTES: number = HEAD_BYTES + MAX_BYTES
  private readonly head: Int32Array
  private readonly time: Float64Array
  private readonly text: Uint8Array

  /** BYTES of `buffer` from `start` on, a multiple of 8. */
  constructor(buffer: SharedArrayBuffer, start: number) {
    this.head = new Int32Array(buffer, start, 2)
    this.time = new Float64Array(buffer, start + 8, 1)
    this.text = new Uint8Array(buffer, start + HEAD_BYTES, MAX_BYTES)
  }

  /** `at`: ms since 1970. */
  say(text: string, at: number): void {
    const { head } = this
    Atomics.add(head, 0, 1)
    // Not into the text itself: encoders do not take shared memory everywhere.
    const bytes = new TextEncoder().encode(text).subarray(0, MAX_BYTES)
    this.text.set(bytes)
    this.time[0] = at
    Atomics.store(head, 1, bytes.length)
    Atomics.add(head, 0, 1)
  }

  /** Undefined when there was none so far, or it changes at this very moment. */
  get said(): { readonly text: string; readonly at: number } | undefined {
    const before = Atomics.load(this.head, 0)
    const bytes = this.text.slice(0, Atomics.load(this.head, 1))
    const at = this.time[0]!
    if (before % 2 !== 0 || bytes.length === 0 || Atomics.load(this.head, 0) !== before) return undefined
    return { text: new TextDecoder().decode(bytes), at }
  }
}
