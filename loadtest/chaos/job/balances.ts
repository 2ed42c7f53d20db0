import { Schema } from "effect"
import { Pipeline, Sink, Source, State } from "headrace"
import { APP, Balance, Movement, TABLE, TOPICS } from "./movement.ts"

/** Keeps the balance of each account, and writes it out behind each movement. */
export default Pipeline.make(APP)
  .from(
    Source.kafka(TOPICS.movements, Movement, { eventTime: m => m.sentAt, outOfOrderness: "5 seconds", key: "account" })
  )
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
  .to(Sink.kafka(TOPICS.balances, Balance), Sink.clickhouse(TABLE))
