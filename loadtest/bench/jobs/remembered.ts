import { Schema } from "effect"
import { Pipeline, Sink, State } from "headrace"
import { alerts, events, scored, spend } from "../../src/scenarios/payments/pipeline.ts"

const Milestone = Schema.Struct({ account: Schema.String, events: Schema.Int, cents: Schema.Int })

/** What the bench wants of each account: it is never dropped, so that state grows with the accounts. */
const EVERY = 1_000
const remembered = events
  .keyBy(e => e.account)
  .process("remembered", {
    emits: Milestone,
    state: { history: State.value(Schema.Struct({ events: Schema.Int, cents: Schema.Int })) },
    onRecord: (event, { state, emit }) => {
      const { events, cents } = state.history.get() ?? { events: 0, cents: 0 }
      const history = { events: events + 1, cents: cents + event.cents }
      state.history.set(history)
      if (history.events % EVERY === 0) emit({ account: event.account, ...history })
    }
  })
  .to(Sink.kafka("bench.remembered", Milestone))

/** The payments pipeline, and state for each account that ever had an event. */
export default Pipeline.all(scored, spend, alerts, remembered)
