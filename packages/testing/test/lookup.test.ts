import { expect, test } from "bun:test"
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import { DeadLetter, Pipeline, Sink, Source } from "headrace"
import { TestDriver } from "../src/index.ts"

const Payment = Schema.Struct({ id: Schema.Number, merchant: Schema.String })
const Named = Schema.Struct({ id: Schema.Number, name: Schema.NullOr(Schema.String) })
class Down extends Schema.TaggedError<Down>()("Down", {}) {}

class Merchants extends Context.Service<
  Merchants,
  { readonly find: (ids: readonly string[]) => Effect.Effect<ReadonlyMap<string, string>, Down> }
>()("test/Merchants") {}

const pipeline = (find: (ids: readonly string[]) => Effect.Effect<ReadonlyMap<string, string>, Down>, size = 100) =>
  Pipeline.make("lookups")
    .from(Source.kafka("payments", Payment))
    .lookup(
      {
        key: p => p.merchant,
        find: ids => Merchants.use(merchants => merchants.find(ids)),
        batch: { size },
        retry: Schedule.recurs(1)
      },
      (p, name) => ({ id: p.id, name: name ?? null })
    )
    .catchTag("Down", DeadLetter.to("dlq"))
    .to(Sink.kafka("named", Named))
    .provide(Layer.succeed(Merchants, { find }))

const names = new Map([
  ["a", "Alpha"],
  ["b", "Beta"]
])
const payment = (id: number, merchant: string) => ({ id, merchant })

test("keys are looked up together and once, what is not there too; results keep their order", async () => {
  const asked: (readonly string[])[] = []
  const driver = new TestDriver(
    pipeline(ids => {
      asked.push(ids)
      return Effect.succeed(new Map([...names].filter(([id]) => ids.includes(id))))
    })
  )
  driver.push("payments", payment(1, "b"), payment(2, "a"), payment(3, "b"), payment(4, "x"))
  await driver.settled()
  expect(driver.values("named")).toEqual([
    { id: 1, name: "Beta" },
    { id: 2, name: "Alpha" },
    { id: 3, name: "Beta" },
    { id: 4, name: null }
  ])
  driver.push("payments", payment(5, "x"), payment(6, "a"))
  await driver.settled()
  expect(driver.values("named")).toEqual([
    { id: 5, name: null },
    { id: 6, name: "Alpha" }
  ])
  expect(asked).toEqual([["b", "a", "x"]])
})

test("a batch has no more keys than it may", async () => {
  const asked: number[] = []
  const driver = new TestDriver(
    pipeline(ids => {
      asked.push(ids.length)
      return Effect.succeed(new Map())
    }, 2)
  )
  driver.push("payments", ...["a", "b", "c", "d", "e"].map((merchant, id) => payment(id, merchant)))
  await driver.settled()
  expect(asked).toEqual([2, 2, 1])
})

test("what fails is not remembered: it is tried again, and then given up", async () => {
  let attempts = 0
  const driver = new TestDriver(
    pipeline(() => {
      attempts++
      return attempts === 3 ? Effect.succeed(names) : Effect.fail(new Down())
    })
  )
  driver.push("payments", payment(1, "a"))
  await driver.settled()
  expect(driver.values("dlq")).toEqual([payment(1, "a")])
  driver.push("payments", payment(2, "a"))
  await driver.settled()
  expect(driver.values("named")).toEqual([{ id: 2, name: "Alpha" }])
  expect(attempts).toBe(3)
})
