import { NO_WATERMARK } from "../operator.ts"

/**
 * Says how far event time has come in one partition, from its records: one object for each partition. After a restart
 * `restore` gets what `progress` last was.
 */
export interface WatermarkGenerator {
  /** Called once for each record, with its event time in ms. */
  readonly observe: (timestamp: number, record: object) => void
  /** No more events with a timestamp ≤ this are expected. May go back: who asks keeps the greatest. */
  readonly watermark: () => number
  /** The one number that the watermark follows from. */
  readonly progress: () => number
  readonly restore: (progress: number) => void
}

/** Makes the generator of a partition. */
export type WatermarkStrategy = () => WatermarkGenerator

/** Events come at most `boundMs` behind the latest one: the watermark is the maximum − bound − 1 ms. */
export const boundedOutOfOrderness =
  (boundMs: number): WatermarkStrategy =>
  () => {
    let maximum = NO_WATERMARK
    return {
      // What is not greater (NaN too) changes nothing.
      observe: timestamp => {
        if (timestamp > maximum) maximum = timestamp
      },
      watermark: () => maximum - boundMs - 1,
      progress: () => maximum,
      restore: progress => {
        maximum = progress
      }
    }
  }

/** Events come in the order of their time; equal times may follow each other. */
export const monotonous: WatermarkStrategy = boundedOutOfOrderness(0)

/** Some events carry the watermark: `of` gives it, or undefined for one that carries none. Called once for each record. */
export const punctuated =
  (of: (record: never, timestamp: number) => number | undefined): WatermarkStrategy =>
  () => {
    const carried = of as (record: object, timestamp: number) => number | undefined
    let greatest = NO_WATERMARK
    return {
      observe: (timestamp, record) => {
        const watermark = carried(record, timestamp)
        if (watermark !== undefined && watermark > greatest) greatest = watermark
      },
      watermark: () => greatest,
      progress: () => greatest,
      restore: progress => {
        greatest = progress
      }
    }
  }
