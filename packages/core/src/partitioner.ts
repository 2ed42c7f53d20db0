const SEED = 0x9747b28c
const M = 0x5bd1e995

/** Kafka's murmur2 of a key. */
export const murmur2 = (key: Uint8Array): number => {
  const whole = key.length & ~3
  let hash = SEED ^ key.length
  for (let i = 0; i < whole; i += 4) hash = Math.imul(hash, M) ^ scramble(word(key, i))
  hash = tail(hash, key, whole)
  hash = Math.imul(hash ^ (hash >>> 13), M)
  return hash ^ (hash >>> 15)
}

const word = (key: Uint8Array, at: number): number =>
  key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24)

const scramble = (value: number): number => {
  const mixed = Math.imul(value, M)
  return Math.imul(mixed ^ (mixed >>> 24), M)
}

const tail = (hash: number, key: Uint8Array, from: number): number => {
  const left = key.length - from
  if (left === 0) return hash
  let mixed = hash
  for (let i = left - 1; i >= 0; i--) mixed ^= key[from + i]! << (8 * i)
  return Math.imul(mixed, M)
}

/** The partition that Kafka's default partitioner gives a key. */
export const partitionOf = (key: Uint8Array, partitions: number): number => (murmur2(key) & 0x7fffffff) % partitions
