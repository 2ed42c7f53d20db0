import { expect, test } from "bun:test"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Plan } from "headrace"
import type { JobConfig } from "../src/job.ts"
import { sinkGroup } from "../src/names.ts"
import { type Admin, Clients } from "../src/ports/clients.ts"
import type { Mark } from "../src/ports/committed-log.ts"
import type { Manifest } from "../src/savepoint/manifest.ts"
import { restoreTables } from "../src/savepoint/tables.ts"

const mark = (offset: number): Mark => ({ topic: "spend", partition: 0, offset, metadata: `block ${offset}` })

test("a table is handed over where it stands when nobody fills it any more", async () => {
  const marks = new Map([[sinkGroup("old", "table"), mark(10)]])
  // On its way out when it is looked at first: it commits once more.
  const members = Effect.suspend(() => {
    if (marks.get(sinkGroup("old", "table"))!.offset > 10) return Effect.succeed([])
    marks.set(sinkGroup("old", "table"), mark(20))
    return Effect.succeed([{ name: "old-0", partitions: [] }])
  })
  const admin = {
    partitions: () => Effect.succeed(new Map([["spend", 1]])),
    members: () => members
  } as unknown as Admin
  const offsets = (group: string) =>
    Effect.succeed({
      committed: () => Effect.sync(() => [marks.get(group)?.offset]),
      marks: () => Effect.sync(() => [marks.get(group)]),
      commit: ([place]: readonly Mark[]) => Effect.sync(() => void marks.set(group, place!))
    })
  const plan = { nodes: [{ kind: "clickhouseSink", id: "table", topic: "spend", table: "spend" }] } as unknown as Plan
  const job = { app: "new", sessionTimeoutMs: 6_000 } as JobConfig
  const restored = await Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(restoreTables(plan, job, { app: "old" } as Manifest, admin))
    yield* TestClock.adjust("1 minute")
    return yield* Fiber.join(fiber)
  }).pipe(
    Effect.provideService(Clients, { offsets } as unknown as Clients["Service"]),
    Effect.provide(TestClock.layer()),
    Effect.runPromise
  )
  expect(restored).toEqual([{ table: "spend", goesOn: true }])
  expect(marks.get(sinkGroup("new", "table"))).toEqual({ ...mark(20), metadata: "block 20;handed over by old" })
})
