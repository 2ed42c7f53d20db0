import { derive, makeDecoder, makeEncoder } from "@headrace/avro"
import { ByteWriter, GridWindow, type Input, keyByField, keyed } from "@headrace/core"
import { Accounts } from "../src/generator/accounts.ts"
import { EventMaker } from "../src/generator/events.ts"
import { Tally } from "../src/generator/tally.ts"
import { Zipf } from "../src/generator/zipf.ts"
import { riskOf } from "../src/scenarios/payments/risk.ts"
import { AccountEvent, ScoredEvent } from "../src/scenarios/payments/schemas.ts"
import { BOUND_MS, WINDOW_MS } from "../src/scenarios/payments/windows.ts"

/** What one event costs up to and with one stage, on one quiet thread. */
export interface StageCost {
  readonly stage: string
  readonly nsPerEvent: number
  /** What it adds to the stage that it builds on. */
  readonly addsNs: number
}

const EVENTS = 100_000
const ROUNDS = 9
const EVENTS_PER_MS = 100
const START = 1_800_000_000_000

/** The cost of each stage of the payments pipeline, over events in memory. Takes about three seconds. */
export const measureStages = (): readonly StageCost[] => {
  const avro = derive(AccountEvent, "payments")
  const encoder = makeEncoder(avro, 1)
  const maker = makerOf()
  const out = new ByteWriter(EVENTS * 100)
  const offsets = new Int32Array(EVENTS + 1)
  const generate = () => {
    for (let i = 0; i < EVENTS; i++) maker.next(START + i / EVENTS_PER_MS)
  }
  const encode = () => {
    out.clear()
    for (let i = 0; i < EVENTS; i++) {
      maker.next(START + i / EVENTS_PER_MS)
      offsets[i] = out.length
      encoder.encode(maker.event, out)
    }
    offsets[EVENTS] = out.length
  }
  encode()
  const reader = readerOver(avro, out.bytes, offsets)
  const [made, encoded, decoded, filtered, windowed, scored] = bestOf([
    generate,
    encode,
    () => reader.each(() => {}),
    () => reader.each(view => void (sink += view.kind === "payment" ? view.at : 0)),
    windowing(reader),
    scoring(reader)
  ]) as [number, number, number, number, number, number]
  return [
    { stage: "generate", nsPerEvent: made, addsNs: made },
    { stage: "generate + encode", nsPerEvent: encoded, addsNs: encoded - made },
    { stage: "decode (check all, read none)", nsPerEvent: decoded, addsNs: decoded },
    { stage: "decode + filter + event time", nsPerEvent: filtered, addsNs: filtered - decoded },
    { stage: "decode + filter + key + window", nsPerEvent: windowed, addsNs: windowed - filtered },
    { stage: "decode + score + encode 1:1", nsPerEvent: scored, addsNs: scored - decoded }
  ]
}

/** Keeps what is read from being optimised away. */
let sink = 0

const makerOf = (): EventMaker => {
  const options = { seed: 1, disorderMs: 2_000, lateFraction: 0, eventTimeShiftMs: 0 }
  return new EventMaker(0, 0, options, new Accounts(100_000, 8), new Zipf(100_000, 1), new Tally(8))
}

type Reader = ReturnType<typeof readerOver>

const readerOver = (avro: Parameters<typeof makeDecoder>[0], bytes: Uint8Array, offsets: Int32Array) => {
  const { decoder, learn } = makeDecoder(avro)
  learn(1, avro)
  const each = (visit: (view: AccountEvent) => void): void => {
    for (let i = 0; i < EVENTS; i++) {
      visit(decoder.view(bytes, offsets[i]!, offsets[i + 1]! - offsets[i]!) as AccountEvent)
    }
  }
  return { decoder, bytes, each }
}

const nowhere: Input = { next: () => {}, watermark: () => {} }

const windowing = ({ decoder, bytes, each }: Reader) => {
  const key = keyed()
  const cents = (event: AccountEvent) => event.cents
  const window = new GridWindow({
    id: "bench",
    assigner: { kind: "tumbling", sizeMs: WINDOW_MS, offsetMs: 0 },
    allowedLatenessMs: BOUND_MS,
    aggregates: { spent: { kind: "sum", of: cents }, payments: { kind: "count" }, largest: { kind: "max", of: cents } },
    key,
    output: nowhere,
    late: undefined
  })
  const keying = keyByField(decoder.span("account")!, { bytes }, key, window)
  return () =>
    each(event => {
      if (event.kind === "payment") keying.next(event, event.at)
    })
}

const scoring = ({ decoder, each }: Reader) => {
  const encoder = makeEncoder(derive(ScoredEvent, "payments.scored"), 2).from(decoder, ["risk"])
  const extended = decoder.extended(["risk"])
  const out = new ByteWriter(EVENTS * 100)
  return () => {
    out.clear()
    each(event => {
      extended.risk = riskOf(event)
      encoder.encode(extended, out)
    })
  }
}

/** ns an event of each stage, the best of several rounds in turn: whatever disturbs a round, makes it longer. */
const bestOf = (stages: readonly (() => void)[]): readonly number[] => {
  const best = stages.map(() => Number.POSITIVE_INFINITY)
  for (let round = 0; round < ROUNDS; round++) {
    stages.forEach((stage, i) => {
      const begin = performance.now()
      stage()
      best[i] = Math.min(best[i]!, ((performance.now() - begin) * 1e6) / EVENTS)
    })
  }
  return best
}
