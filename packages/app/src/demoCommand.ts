import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { loadFlags } from "./loadFlags.ts"
import { compiled } from "./place.ts"
import { userErrors } from "./userErrors.ts"

class NoCheckout extends Schema.TaggedError<NoCheckout>()("NoCheckout", { message: Schema.String }) {}

export const demoCommand = Command.make(
  "demo",
  {
    ...loadFlags,
    lanes: Flag.Int("lanes").pipe(
      Flag.withDescription("Threads of the pipeline (default: one for each core)"),
      Flag.optional
    ),
    keep: Flag.Boolean("keep").pipe(
      Flag.withDescription("Leaves the servers and the pipeline running, and says where"),
      Flag.withDefault(false)
    )
  },
  Effect.fnUntraced(
    function* (flags) {
      if (compiled) return yield* new NoCheckout({ message: NO_CHECKOUT })
      const { demo } = yield* Effect.promise(() => import("./demo.ts"))
      yield* demo({ ...flags, lanes: Option.getOrUndefined(flags.lanes) })
    },
    effect => userErrors(effect)
  )
).pipe(
  Command.withDescription(
    "Runs the payments pipeline at full load against real servers started for it (in a checkout)"
  ),
  Command.withExamples([
    { command: "npm run demo", description: "60,000 events/s for a minute" },
    { command: "npm run demo -- --rate 60000 --for 20s --report report.json", description: "Shorter, with a report" }
  ])
)

const NO_CHECKOUT =
  "the demo starts Kafka, a registry and ClickHouse from a checkout: run `npm run demo` there. " +
  "Against servers of your own: `headrace run` and `headrace loadtest`"
