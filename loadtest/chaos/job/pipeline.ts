import { Schema } from "effect"
import { Pipeline, Sink, Source, State } from "headrace"
import { isWatched, patterns } from "../../src/scenarios/payments/fraud.ts"
import { Alert } from "../../src/scenarios/payments/schemas.ts"
import { APP, Balance, BOUND_MS, Movement, TABLES, TOPICS } from "./movement.ts"

const movements = Pipeline.make(APP).from(
  Source.kafka(TOPICS.movements, Movement, {
    eventTime: m => m.at,
    outOfOrderness: BOUND_MS,
    key: "account"
  })
)

/** Keeps the balance of each account, and writes it out behind each movement. */
const balances = movements
  .keyBy(m => m.account)
  .process("balances", {
    emits: Balance,
    state: { movements: State.value(Schema.Int), cents: State.value(Schema.Int) },
    onRecord: ({ id, account, cents }, { state, emit }) => {
      const movements = (state.movements.get() ?? 0) + 1
      const balance = (state.cents.get() ?? 0) + cents
      state.movements.set(movements)
      state.cents.set(balance)
      emit({ id, account, movements, cents: balance })
    }
  })
  .to(Sink.kafka(TOPICS.balances, Balance), Sink.clickhouse(TABLES.balances))

/** Looks for the payments pipeline's patterns of fraud. What they find depends on event time alone. */
const alerts = movements
  .filter(isWatched)
  .keyBy(m => m.account)
  .matchAll("fraud", patterns, { order: (a, b) => a.id - b.id })
  .to(Sink.kafka(TOPICS.alerts, Alert), Sink.clickhouse(TABLES.alerts))

export default Pipeline.all(balances, alerts)
