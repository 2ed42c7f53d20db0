import { readHeader } from "./engine.ts"

/** Of a changelog: names offsets, and changes nothing. */
export const isEmptyDelta = (topic: string, value: Uint8Array): boolean =>
  topic.includes("changelog") && readHeader(value, 0, value.length).changes === value.length

/** The same watermark as if it came from this channel. */
export const ofChannel = (watermark: Uint8Array, channel: number): Uint8Array => {
  const copy = watermark.slice()
  new DataView(copy.buffer).setUint32(2, channel)
  return copy
}
