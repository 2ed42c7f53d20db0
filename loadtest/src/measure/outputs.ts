import type { TopicDecoder } from "@headrace/avro"
import { Schema } from "effect"
import { learn, openDecoder } from "../codecs.ts"
import { accountIndex } from "../generator/accounts.ts"
import type { RegistryAccess } from "../options.ts"
import { RULES } from "../scenarios/payments/schemas.ts"
import { TOPICS } from "../scenarios/payments/topics.ts"
import { windowStart } from "../scenarios/payments/windows.ts"
import type { Audit } from "./audit.ts"
import type { Batch } from "./reading.ts"

const STRIDE = 8

/** What is read of each topic: projections of what the pipeline writes. */
const Scored = Schema.Struct({ id: Schema.Int, sentAt: Schema.Finite }).annotate({ identifier: "ScoredEvent" })
const SpendPart = Schema.Struct({
  key: Schema.String,
  windowStart: Schema.Int,
  spent: Schema.Int,
  payments: Schema.Int
}).annotate({ identifier: "Spend" })
const Late = Schema.Struct({
  id: Schema.Int,
  account: Schema.String,
  at: Schema.Int,
  cents: Schema.Int
}).annotate({ identifier: "AccountEvent" })
const AlertPart = Schema.Struct({
  rule: Schema.Literals(RULES),
  firstId: Schema.Int,
  lastId: Schema.Int
}).annotate({ identifier: "Alert" })

/** Hands each record of a batch to the audit. */
export interface OutputReader {
  /** Called for each poll; `now` is when it came. */
  readonly take: (batch: Batch, now: number) => Promise<void>
}

export const openOutputReader = async (registry: RegistryAccess, audit: Audit): Promise<OutputReader> => {
  const outputs = new Map<string, Output>([
    [TOPICS.scored, { decoder: await openDecoder(registry, Scored, TOPICS.scored), take: takeScored(audit) }],
    [TOPICS.spend, { decoder: await openDecoder(registry, SpendPart, TOPICS.spend), take: takeSpend(audit) }],
    [TOPICS.late, { decoder: await openDecoder(registry, Late, TOPICS.late), take: takeLate(audit) }],
    [TOPICS.alerts, { decoder: await openDecoder(registry, AlertPart, TOPICS.alerts), take: takeAlert(audit) }]
  ])
  return { take: (batch, now) => takeAll(outputs, batch, now) }
}

interface Output {
  readonly decoder: TopicDecoder
  /** Called for each record, with the decoder's view. */
  readonly take: (view: object, partition: number, now: number) => void
}

const takeAll = async (outputs: ReadonlyMap<string, Output>, batch: Batch, now: number): Promise<void> => {
  let topicId = -1
  let output: Output | undefined
  for (let i = 0; i < batch.count; i++) {
    const topic = batch.index[i * STRIDE]!
    if (topic !== topicId) output = outputs.get(batch.topic(topic))
    topicId = topic
    if (output === undefined) continue
    const known = knownView(output.decoder, batch, i)
    output.take(known ?? (await decoded(output.decoder, batch, i)), batch.index[i * STRIDE + 1]!, now)
  }
}

/** The view of a record whose writer schema is known: the way of all but the first record, without a promise. */
const knownView = (decoder: TopicDecoder, { bytes, index }: Batch, i: number): object | undefined => {
  const at = index[i * STRIDE + 4]!
  const length = index[i * STRIDE + 5]!
  return decoder.knows(decoder.schemaId(bytes, at, length)) ? decoder.view(bytes, at, length) : undefined
}

/** The view of a record, after its writer schema was fetched if need be. */
export const decoded = async (decoder: TopicDecoder, batch: Batch, i: number): Promise<object> => {
  const at = batch.index[i * STRIDE + 4]!
  const length = batch.index[i * STRIDE + 5]!
  const id = decoder.schemaId(batch.bytes, at, length)
  if (!decoder.knows(id)) await learn(decoder, id)
  return decoder.view(batch.bytes, at, length)
}

const takeScored = (audit: Audit) => (view: object, partition: number, now: number) => {
  const { id, sentAt } = view as typeof Scored.Type
  audit.scored(id, sentAt, partition, now)
}

const takeSpend = (audit: Audit) => (view: object) => {
  const spend = view as typeof SpendPart.Type
  audit.window(accountIndex(spend.key), spend.windowStart, spend.payments, spend.spent)
}

const takeLate = (audit: Audit) => (view: object) => {
  const late = view as typeof Late.Type
  audit.late(late.id, accountIndex(late.account), windowStart(late.at), late.cents)
}

const takeAlert = (audit: Audit) => (view: object) => audit.alert(view as typeof AlertPart.Type)
