import { expect, test } from "bun:test"
import { Effect, Logger } from "effect"
import { kafkaError } from "../src/error.ts"
import type { ConsumerEvent } from "../src/index.ts"
import { heard } from "../src/reports.ts"

const fault = {
  code: -195,
  kind: "",
  name: "_TRANSPORT",
  fatal: false,
  retriable: true,
  abortable: false,
  needed: 0,
  record: -1
}
const error = (message: string, as: Partial<typeof fault> = {}): ConsumerEvent => ({
  type: "error",
  error: kafkaError("consume", { ...fault, message, ...as })
})

/** What is logged for these events, and the failure that they come to. */
const outcome = async (events: readonly ConsumerEvent[]) => {
  const lines: string[] = []
  const logger = Logger.make<unknown, void>(
    ({ logLevel, message }) => void lines.push(`${logLevel} ${String(message)}`)
  )
  const failed = await Effect.runPromise(
    heard(events).pipe(
      Effect.match({ onSuccess: () => ({}), onFailure: ({ failure, message }) => ({ failure, message }) }),
      Effect.provide(Logger.layer([logger]))
    )
  )
  return { lines, ...failed }
}

test("a broker that is away is a warning, once, whatever differs from time to time", async () => {
  const events = Array.from({ length: 500 }, (_, i) =>
    error(`away: refused (after ${i}ms in state CONNECT, ${i} identical error(s) suppressed)`)
  )
  expect(await outcome(events)).toEqual({ lines: [expect.stringMatching(/^Warn .*refused.*bootstrap\.servers/)] })
})

test("a handshake that was cut short is waited for, a refusal is not", async () => {
  const ssl = { name: "_SSL", code: -181 }
  const cut = await outcome([error("SSL handshake failed: Disconnected", ssl)])
  expect(cut).toEqual({ lines: [expect.stringContaining("Disconnected")] })
  const refused = await outcome([error("SSL handshake failed: certificate verify failed", ssl)])
  expect(refused).toEqual({ lines: [], failure: "Stop", message: expect.stringContaining("ssl.ca.location") })
})

test("a client that is of no more use is replaced, whatever else happened", async () => {
  const held = error("fatal", { name: "UNRELEASED_INSTANCE_ID", code: 111, fatal: true })
  expect(await outcome([error("one more"), held])).toEqual({
    lines: [expect.stringContaining("one more")],
    failure: "Gone",
    message: expect.stringContaining("until the session")
  })
})

const log = (facility: string, message: string): ConsumerEvent => ({ type: "log", level: 4, facility, message })
const noSession = (why: string) =>
  log(
    "GETPID",
    `[thrd:main]: Failed to acquire transactional PID from broker 127.0.0.1:9092/1: Broker: ${why}: retrying`
  )

test("that a producer's coordinator is on its way is no news, but why it gets no session otherwise is", async () => {
  const coming = [
    "Coordinator load in progress",
    "Coordinator not available",
    "Not coordinator",
    "Producer attempted to update a transaction while another concurrent operation on the same transaction was ongoing"
  ]
  expect(await outcome(coming.map(noSession))).toEqual({ lines: [] })
  expect(await outcome([noSession("Request timed out")])).toEqual({ lines: [expect.stringMatching(/^Warn .*PID/)] })
  expect(await outcome([log("OTHER", "Coordinator load in progress: retrying")])).toEqual({
    lines: [expect.stringMatching(/^Warn/)]
  })
})
