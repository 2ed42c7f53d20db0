import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import {
  ByteWriter,
  GridWindow,
  type Input,
  keyed,
  PartitionState,
  Process,
  STRING_KEY,
  type Stateful,
  type ValueCodec,
  type ValueHandle
} from "@headrace/core"
import { StateMemory } from "../../engine/src/task/memory.ts"
import { SqliteSpill } from "../src/index.ts"

/*
 * What state costs that does not fit: the same events over the same keys, with all state in memory and with a bound of a
 * half and a tenth of it. Run it alone: bun packages/spill/bench/spilled.ts
 */

const KEY_BYTES = 16
const KEYS = 200_000
const EVENTS = 600_000
/** Records of a poll, and of a transaction. */
const BATCH = 2_000
const COMMIT = 20_000
const DRAINED_AT_ONCE = 4096

const nowhere: Input = { next: () => {}, watermark: () => {} }

/** mulberry32: the same events on every run. */
const random = (seed: number) => () => {
  seed = (seed + 0x6d2b79f5) | 0
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296
}

const arena = new Uint8Array(KEYS * KEY_BYTES)
for (let i = 0; i < KEYS; i++)
  new TextEncoder().encodeInto(`acc-${String(i).padStart(12, "0")}`, arena.subarray(i * KEY_BYTES))

const uniform = (): Int32Array => {
  const next = random(1)
  return Int32Array.from({ length: EVENTS }, () => Math.floor(next() * KEYS))
}
/** Nine of ten events are of one key in a hundred. */
const skewed = (): Int32Array => {
  const next = random(2)
  return Int32Array.from({ length: EVENTS }, () => Math.floor(next() * (next() < 0.9 ? KEYS / 100 : KEYS)))
}

const json: ValueCodec<unknown> = {
  write: (value, out) => {
    const bytes = new TextEncoder().encode(JSON.stringify(value))
    out.copy(bytes, 0, bytes.length)
  },
  read: (bytes, start, end) => JSON.parse(new TextDecoder().decode(bytes.subarray(start, end)))
}

interface Payment {
  cents: number
}
type Subject = Input & Stateful

const key = keyed()
const window = (): Subject =>
  new GridWindow({
    id: "window",
    assigner: { kind: "tumbling", sizeMs: 10_000, offsetMs: 0 },
    allowedLatenessMs: 0,
    aggregates: { payments: { kind: "count" }, spent: { kind: "sum", of: (p: Payment) => p.cents } },
    key,
    output: nowhere,
    late: undefined
  })
const process = (): Subject =>
  new Process({
    id: "process",
    state: { last: { kind: "value", codec: json, ttlMs: undefined } },
    onRecord: (payment: Payment, { state }: { readonly state: { readonly last: ValueHandle<unknown> } }) => {
      const seen = state.last.get() as { readonly spent: number; readonly payments: number } | undefined
      state.last.set({ spent: (seen?.spent ?? 0) + payment.cents, payments: (seen?.payments ?? 0) + 1 })
    },
    onTimer: undefined,
    onProcessingTimer: undefined,
    clock: { now: 0 },
    key,
    output: nowhere
  })

const directory = mkdtempSync(join(tmpdir(), "headrace-spill-bench-"))

interface Figures {
  readonly nsPerEvent: number
  readonly longestMs: number
  readonly stateMb: number
  readonly peakMb: number
  readonly spilledKeys: number
  readonly bytesPerSpilledKey: number
}

/** All keys once, then the events; what is measured are the events. */
const run = (subject: Subject, ids: Int32Array, boundBytes: number): Figures => {
  const state = new PartitionState([subject])
  const memory = new StateMemory({
    boundBytes,
    drainedAtOnce: DRAINED_AT_ONCE,
    open: () => new SqliteSpill(directory),
    onFull: "stop"
  })
  const resident = memory.admit(state)
  const out = new ByteWriter(1 << 20)
  const record = { cents: 0 }
  key.bytes = arena
  key.kind = STRING_KEY
  let longestMs = 0
  let peak = 0
  const feed = (count: number, of: (i: number) => number): number => {
    const begin = performance.now()
    for (let i = 0; i < count; i += BATCH) {
      const before = performance.now()
      for (let j = i; j < Math.min(count, i + BATCH); j++) {
        key.start = of(j) * KEY_BYTES
        key.end = key.start + KEY_BYTES
        record.cents = j & 1023
        subject.next(record, 0)
      }
      memory.relieve()
      if ((i + BATCH) % COMMIT === 0) {
        out.clear()
        state.delta(out)
        memory.sealed()
        peak = Math.max(peak, memory.size().bytes)
      }
      longestMs = Math.max(longestMs, performance.now() - before)
    }
    return ((performance.now() - begin) * 1e6) / count
  }
  feed(KEYS, i => i)
  longestMs = 0
  const nsPerEvent = feed(ids.length, i => ids[i]!)
  const { bytes, spilledKeys, spilledBytes } = memory.size()
  resident.leave()
  return {
    nsPerEvent: Math.round(nsPerEvent),
    longestMs: Math.round(longestMs),
    stateMb: bytes / 1e6,
    peakMb: Math.round(peak / 1e5) / 10,
    spilledKeys,
    bytesPerSpilledKey: spilledKeys === 0 ? 0 : Math.round(spilledBytes / spilledKeys)
  }
}

const table: object[] = []
for (const [what, make] of [["window", window], ["process", process]] as const) // biome-ignore format: a table
  for (const [spread, ids] of [
    ["uniform", uniform()],
    ["skewed", skewed()]
  ] as const) {
    // biome-ignore format: a table
    const whole = run(make(), ids, Number.POSITIVE_INFINITY)
    for (const [bound, figures] of [
      ["none", whole],
      ["1/2", run(make(), ids, (whole.stateMb * 1e6) / 2)],
      ["1/10", run(make(), ids, (whole.stateMb * 1e6) / 10)]
    ] as const)
      table.push({ what, spread, bound, bytesPerKey: Math.round((whole.stateMb * 1e6) / KEYS), ...figures })
  }
console.table(table)
rmSync(directory, { recursive: true })
