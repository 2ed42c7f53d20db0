import type { ByteWriter } from "../../bytes.ts"
import type { ValueCodec } from "../../codec.ts"
import { ValueReader, writeNumber } from "../../state/number.ts"
import type { Span } from "./assigner.ts"
import type { GivenRow } from "./given.ts"
import type { TriggerWindow } from "./trigger.ts"

/** A window of one key, as it is kept. Its numbers and values are those of its aggregates, unless it keeps elements. */
export interface KeyWindow extends Span {
  timer: number
  count: number
  mark: number
  /** Events that its contents stand for. */
  size: number
  /** Elements before this one are not its own any more. */
  from: number
  /** And of those behind it, these are not. In ascending order. */
  gone: readonly number[]
  numbers: number[]
  values: unknown[][]
  /** What it has given out and would take back, where windows do that. */
  given: readonly GivenRow[]
}

/** One for all that have none: there may be millions of windows. */
const NONE: never[] = []

export const openWindow = ({ start, end }: Span, numbers: number): KeyWindow => ({
  start,
  end,
  timer: Number.POSITIVE_INFINITY,
  count: 0,
  mark: Number.NaN,
  size: 0,
  from: 0,
  gone: NONE,
  numbers: numbers === 0 ? NONE : new Array(numbers).fill(0),
  values: NONE,
  given: NONE
})

/** The last ms that belongs to it; Infinity for the global one. */
export const maxTimestampOf = ({ end }: Span): number => end - 1

/** What a trigger sees of the window that stands in turn. One object for all. */
export class TriggerView implements TriggerWindow {
  watermark = 0
  allowedLatenessMs = 0
  window!: KeyWindow

  get maxTimestamp(): number {
    return maxTimestampOf(this.window)
  }
  get cleanupTime(): number {
    return this.maxTimestamp + this.allowedLatenessMs
  }
  get timer(): number {
    return this.window.timer
  }
  set timer(time: number) {
    this.window.timer = time
  }
  get count(): number {
    return this.window.count
  }
  set count(count: number) {
    this.window.count = count
  }
  get mark(): number {
    return this.window.mark
  }
  set mark(mark: number) {
    this.window.mark = mark
  }
}

/**
 * `start · length · timer · count · mark · size · from · gone · numbers`, then each value with its length; and, where it
 * `retracts`, what has been given out: how many, and of each `start · end · length · row`.
 */
export const windowCodec = (numbers: number, codecs: readonly ValueCodec<unknown>[], retracts = false) => {
  const reader = new ValueReader()
  const codec: ValueCodec<KeyWindow> = {
    write: (window, out) => {
      writeNumber(out, window.start)
      writeNumber(out, window.end)
      writeNumber(out, window.timer)
      writeNumber(out, window.count)
      writeNumber(out, window.mark)
      writeNumber(out, window.size)
      writeNumber(out, window.from)
      writeNumber(out, window.gone.length)
      for (const sub of window.gone) writeNumber(out, sub)
      for (let i = 0; i < numbers; i++) writeNumber(out, window.numbers[i]!)
      codecs.forEach((one, i) => {
        const start = out.open()
        one.write(window.values[i]![0], out)
        out.close(start)
      })
      if (retracts) writeGiven(window.given, out)
    },
    read: (bytes, start, end) => {
      const own = bytes.subarray(start, end)
      reader.reset(own)
      const span = { start: reader.number(), end: reader.number() }
      const window = openWindow(span, numbers)
      window.timer = reader.number()
      window.count = reader.number()
      window.mark = reader.number()
      window.size = reader.number()
      window.from = reader.number()
      const gone = reader.number()
      if (gone > 0) window.gone = Array.from({ length: gone }, () => reader.number())
      for (let i = 0; i < numbers; i++) window.numbers[i] = reader.number()
      if (codecs.length > 0)
        window.values = codecs.map(one => {
          const length = reader.varint()
          const at = reader.skip(length)
          return [one.read(own, at, at + length)]
        })
      if (retracts) window.given = readGiven(reader, own)
      reader.end()
      return window
    }
  }
  return codec
}

const writeGiven = (given: readonly GivenRow[], out: ByteWriter): void => {
  out.varint(given.length)
  for (const { start, end, row } of given) {
    writeNumber(out, start)
    writeNumber(out, end)
    out.varint(row.length)
    out.copy(row, 0, row.length)
  }
}

const readGiven = (reader: ValueReader, bytes: Uint8Array): readonly GivenRow[] =>
  Array.from({ length: reader.varint() }, () => {
    const [start, end, length] = [reader.number(), reader.number(), reader.varint()]
    const at = reader.skip(length)
    return { start, end, row: bytes.slice(at, at + length) }
  })
