import { expect, test } from "bun:test"
import {
  type Admin,
  Clients,
  checkTopics,
  type JobConfig,
  LogError,
  type NewTopic,
  prepareTopics
} from "@headrace/engine"
import { Effect, Logger, Schema } from "effect"
import { Pipeline, Sink, Source, toPlan } from "headrace"

const Payment = Schema.Struct({ account: Schema.String })
const plan = toPlan(Pipeline.make("copy").from(Source.kafka("payments", Payment)).to(Sink.kafka("copies", Payment)))
const job = { app: "copy", replication: 3 } as JobConfig

/** What is made in a cluster that has these topics, by number of partitions. */
const madeIn = async (there: Readonly<Record<string, number>>) => {
  const made: NewTopic[] = []
  const admin = {
    partitions: names => Effect.succeed(new Map(Object.entries(there).filter(([name]) => names.includes(name)))),
    create: topics => Effect.sync(() => void made.push(...topics))
  } as Partial<Admin> as Admin
  const clients = Clients.of({ admin: Effect.succeed(admin) } as Partial<typeof Clients.Service> as never)
  await Effect.runPromise(prepareTopics(plan, job).pipe(Effect.provideService(Clients, clients)))
  return made
}

test("a changelog has its source's partitions, is never compacted and never expires, whatever the cluster's defaults", async () => {
  const made = await madeIn({ payments: 5 })
  expect(made.find(one => one.topic === "copy-changelog-payments")).toEqual({
    topic: "copy-changelog-payments",
    partitions: 5,
    replication: 3,
    config: { "cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1" }
  })
})

test("a changelog with other partitions than its source stops the job", async () => {
  const making = madeIn({ payments: 5, copies: 5, "copy-changelog-payments": 4 })
  await expect(making).rejects.toThrow(/copy-changelog-payments has 4 partitions, but its source now has 5/)
})

test("settings that the client may not read are said to be unchecked, and stop nobody", async () => {
  const said: unknown[] = []
  const admin = { settings: () => Effect.fail(new LogError("Stop", "Not authorized.")) } as Partial<Admin> as Admin
  const clients = Clients.of({ admin: Effect.succeed(admin) } as Partial<typeof Clients.Service> as never)
  const listen = Logger.layer([Logger.make(({ message }) => void said.push(message))])
  const check = checkTopics(plan, job, [{ table: "copies", topic: "copies" }])
  await Effect.runPromise(check.pipe(Effect.provideService(Clients, clients), Effect.provide(listen)))
  expect(String(said)).toMatch(
    /Not authorized\. So it is not checked .*: copy-changelog-payments, payments, copies\. Allow .* DESCRIBE_CONFIGS/
  )
})
