import { expect, test } from "bun:test"
import { Effect } from "effect"
import { committedOf } from "../src/committed.ts"
import { kafkaError } from "../src/error.ts"

const at = (partition: number, offset: number) => ({ topic: "t", partition, offset, metadata: null })
const fault = { code: 88, kind: "", name: "UNSTABLE_OFFSET_COMMIT", message: "unstable", fatal: false, needed: 0 }

test("a partition without a committed offset has none", async () => {
  const [one, none] = await Effect.runPromise(committedOf([at(0, 0), at(1, -1001)]))
  expect([one?.offset, none]).toEqual([0, undefined])
})

test("an error of one partition is not a missing offset, though the call succeeded", async () => {
  const error = kafkaError("read committed offsets", { ...fault, retriable: true, abortable: false, record: -1 })
  const failed = await Effect.runPromise(Effect.flip(committedOf([at(0, 5), { ...at(1, -1001), error }])))
  expect(failed).toMatchObject({ failure: "Retry", message: expect.stringContaining("t/1") })
})
