import { LogCollapsingLowestDenseDDSketch as DDSketch } from "@datadog/sketches-js"
import type { StoredCodec } from "@headrace/core"

export { DDSketch }

type Store = DDSketch["store"]

/** A new sketch whose quantiles are within a share of the value. */
export const ddSketch = (relativeAccuracy: number): DDSketch => new DDSketch({ relativeAccuracy })

/** DDSketch takes NaN for a zero. */
export const accept = (sketch: DDSketch, value: number): void => {
  if (!Number.isFinite(value)) throw new RangeError(`Quantiles are of finite numbers, and one is ${value}`)
  sketch.accept(value)
}

/** Adds another sketch, which stays as it is. The library's own `merge` forgets what is negative. */
export const mergeInto = (sketch: DDSketch, other: DDSketch): void => {
  addTo(sketch.store, other.store)
  addTo(sketch.negativeStore, other.negativeStore)
  sketch.zeroCount += other.zeroCount
  sketch.count += other.count
  sketch.sum += other.sum
  sketch.min = Math.min(sketch.min, other.min)
  sketch.max = Math.max(sketch.max, other.max)
}

const addTo = (store: Store, other: Store): void => {
  for (const [i, count] of other.bins.entries()) if (count > 0) store.add(other.offset + i, count)
}

/** Doubles: those of the sketch as a whole, then of each store how many bins there are, and of each its key and its count. */
export const ddSketchCodec = (relativeAccuracy: number): StoredCodec => ({
  // Sketches of another accuracy do not merge: state of one is refused.
  shape: { record: { ddSketch: { shape: { literal: relativeAccuracy } } } },
  write: (value, out) => {
    const sketch = value as DDSketch
    for (const one of [sketch.zeroCount, sketch.sum, sketch.min, sketch.max]) out.f64(one)
    for (const store of [sketch.store, sketch.negativeStore]) {
      const bins = [...store.bins.entries()].filter(([, count]) => count > 0)
      out.f64(bins.length)
      for (const [i, count] of bins) {
        out.f64(store.offset + i)
        out.f64(count)
      }
    }
  },
  read: (bytes, start, end) => {
    const view = new DataView(bytes.buffer, bytes.byteOffset + start, end - start)
    let at = 0
    const next = () => view.getFloat64(8 * at++)
    const sketch = ddSketch(relativeAccuracy)
    Object.assign(sketch, { zeroCount: next(), sum: next(), min: next(), max: next() })
    for (const store of [sketch.store, sketch.negativeStore])
      for (let bins = next(); bins > 0; bins--) store.add(next(), next())
    sketch.count = sketch.zeroCount + sketch.store.count + sketch.negativeStore.count
    return sketch
  }
})
