/** Cuts a stream of bytes into what a proxy decides about. */
export type Cutter = (each: (unit: Buffer) => void) => (data: Buffer) => void

/** Bytes as they come. */
export const chunks: Cutter = each => each

/** Kafka's requests and responses: four bytes of length, then so many bytes. */
export const frames: Cutter = each => {
  let parts: Buffer[] = []
  let have = 0
  return data => {
    parts.push(data)
    have += data.length
    for (;;) {
      if (have < 4) return
      if (parts[0]!.length < 4) parts = [Buffer.concat(parts)]
      const size = 4 + parts[0]!.readInt32BE(0)
      if (have < size) return
      const whole = parts.length === 1 ? parts[0]! : Buffer.concat(parts)
      each(whole.subarray(0, size))
      have -= size
      parts = have === 0 ? [] : [whole.subarray(size)]
    }
  }
}

/** Kafka's numbers of the requests that matter here. */
export const API = {
  produce: 0,
  fetch: 1,
  joinGroup: 11,
  syncGroup: 14,
  initProducerId: 22,
  addPartitions: 24,
  addOffsets: 25,
  endTxn: 26,
  txnOffsetCommit: 28,
  consumerGroupHeartbeat: 68
} as const

export const apiOf = (request: Buffer): number => request.readInt16BE(4)
/** The same number stands in the response. */
const correlationOf = (request: Buffer): number => request.readInt32BE(8)
export const answers = (response: Buffer, request: Buffer): boolean =>
  response.readInt32BE(4) === correlationOf(request)
export const clientOf = (request: Buffer): string => {
  const length = request.readInt16BE(12)
  return length < 0 ? "" : request.toString("utf8", 14, 14 + length)
}
