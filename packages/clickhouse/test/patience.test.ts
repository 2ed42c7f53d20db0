import { expect, test } from "bun:test"
import { LaneMetrics, LogError, type LogFailure, PHASES, type Phase } from "@headrace/engine"
import { Effect } from "effect"
import { ClickHouseError } from "../src/errors.ts"
import { Patience, stopped } from "../src/patience.ts"

/** A new start mends what became of the client or of its membership; the rest waits for a person. */
const starts: Readonly<Record<string, readonly LogFailure[]>> = { again: ["Gone", "Fenced"], never: ["Stop"] }

test.each(Object.entries(starts).flatMap(([start, all]) => all.map(failure => [failure, start] as const)))(
  "a sink whose log fails with %s is started %s",
  (failure, start) => {
    const error = new ClickHouseError({ table: "spend", reason: stopped(new LogError(failure, "why")) })
    expect(error.passes).toBe(start === "again")
  }
)

test("a sink waits from the first failure to the end of the call, and is then what it has become meanwhile", async () => {
  const metrics = new LaneMetrics()
  const patience = new Patience("spend", metrics)
  const shown: (Phase | undefined)[] = []
  const look = () => void shown.push(PHASES[metrics.get("phase")])
  let calls = 0
  const call = Effect.suspend(() => {
    look()
    // Its partitions go away while it waits.
    if (calls === 1) patience.phase("spare")
    return ++calls < 3 ? Effect.fail(new LogError("Retry", "not now")) : Effect.void
  })
  patience.phase("running")
  await Effect.runPromise(patience.withLog(call))
  look()
  const refused = Effect.fail(new LogError("Stop", "never"))
  expect((await Effect.runPromise(Effect.flip(patience.withLog(refused))))._tag).toBe("LogStopped")
  look()
  expect(shown).toEqual(["running", "waiting", "waiting", "spare", "spare"])
})

test("of two calls that wait, the one that has got on does not speak for the other", async () => {
  const metrics = new LaneMetrics()
  const patience = new Patience("spend", metrics)
  const phase = () => PHASES[metrics.get("phase")]
  patience.phase("running")
  const [one, other] = [{}, {}]
  await Effect.runPromise(patience.waiting(one, { message: "one" }))
  await Effect.runPromise(patience.waiting(other, { message: "other" }))
  patience.gotOn(one)
  expect(phase()).toBe("waiting")
  patience.gotOn(other)
  expect(phase()).toBe("running")
})
