import { expect, test } from "bun:test"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { Successive } from "../src/successive.ts"

const hanging = { close: () => new Promise<void>(() => {}) }

/** Time stands still: whoever waited for the one that hangs would never come back. */
test("nobody waits for a client that was left behind, whoever closes next", async () => {
  const clients = new Successive<{ close: () => Promise<void> }>("a client")
  clients.current = hanging
  const closing = Effect.andThen(clients.leaveBehind, clients.close)
  await Effect.runPromise(Effect.provide(closing, TestClock.layer()))
  expect(clients.current).toBeUndefined()
})

test("one that ends is waited for", async () => {
  const clients = new Successive<{ close: () => Promise<void> }>("a client")
  let ended = false
  clients.current = { close: () => Promise.resolve().then(() => void (ended = true)) }
  await Effect.runPromise(clients.close)
  expect(ended).toBe(true)
})
