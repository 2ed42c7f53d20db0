import { KEY_FORMS, type KeyBytes, type KeyForm, placeOfKey } from "../keyPlace.ts"
import { NO_WATERMARK } from "../operator.ts"

/**
 * How far event time had come in the partitions that this one was made of, by their number there: a savepoint of another number of
 * partitions puts fast ones beside slow ones. A key goes on from where its own had come to.
 */
export interface Floors {
  /** How keys are written. */
  readonly form: KeyForm
  /**
   * Of a window on a grid the last ms of the latest one that is out, of other steps the watermark; -Infinity where nothing came
   * from that partition.
   */
  readonly fired: readonly number[]
}

/** How far event time had come for a key. */
export const floorOf = (all: readonly Floors[], bytes: Uint8Array, key: KeyBytes): number => {
  let floor = NO_WATERMARK
  for (const { form, fired } of all) floor = Math.max(floor, fired[placeOfKey(bytes, key, form, fired.length)] ?? floor)
  return floor
}

/** Those that still tell something when all windows up to `fired` are out. */
export const above = (all: readonly Floors[], fired: number): readonly Floors[] =>
  all.every(one => one.fired.some(floor => floor > fired))
    ? all
    : all.filter(one => one.fired.some(floor => floor > fired))

/** Of partitions that become one: what they say of the same number of partitions, and keys of one form, together. */
export const together = (all: readonly Floors[]): readonly Floors[] => {
  const alike = new Map<string, Floors>()
  for (const { form, fired } of all) {
    const name = `${form} ${fired.length}`
    const before = alike.get(name)?.fired
    alike.set(name, { form, fired: fired.map((floor, i) => Math.max(floor, before?.[i] ?? floor)) })
  }
  return [...alike.values()]
}

/** Numbers of the floors as they are written: `form · partitions · fired…`, one after the other. */
export const floorNumbers = (all: readonly Floors[]): readonly number[] =>
  all.flatMap(({ form, fired }) => [KEY_FORMS.indexOf(form), fired.length, ...fired])

export const readFloors = (numbers: readonly number[]): readonly Floors[] => {
  const all: Floors[] = []
  for (let at = 0; at < numbers.length; ) {
    const count = numbers[at + 1]!
    all.push({ form: KEY_FORMS[numbers[at]!]!, fired: numbers.slice(at + 2, at + 2 + count) })
    at += 2 + count
  }
  return all
}
