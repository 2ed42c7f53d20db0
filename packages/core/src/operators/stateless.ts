import type { Input } from "../operator.ts"

type On<B> = (record: object) => B

/** Hands on the records for which `predicate` holds. It may get a reusable view. */
export const filter = (predicate: (record: never) => boolean, output: Input): Input => {
  const holds = predicate as On<boolean>
  return {
    next: (record, timestamp) => {
      if (holds(record)) output.next(record, timestamp)
    },
    watermark: watermark => output.watermark(watermark)
  }
}

/** Hands on what `change` makes of each record, at the same event time. */
export const map = (change: (record: never) => object, output: Input): Input => {
  const changed = change as On<object>
  return {
    next: (record, timestamp) => output.next(changed(record), timestamp),
    watermark: watermark => output.watermark(watermark)
  }
}

/** Hands on each of what `expand` makes of a record, at its event time, in that order. */
export const flatMap = (expand: (record: never) => Iterable<object>, output: Input): Input => {
  const expanded = expand as On<Iterable<object>>
  return {
    next: (record, timestamp) => {
      for (const one of expanded(record)) output.next(one, timestamp)
    },
    watermark: watermark => output.watermark(watermark)
  }
}
