import { expect, test } from "bun:test"
import { Effect } from "effect"
import { NO_FAULTS } from "../src/faults.ts"
import { World } from "../src/world.ts"

const TRIES = 50

/** A request that reads what others change meanwhile, and what is heard of it; by the calls that it takes. */
const ask = (world: World, owner: object, meanwhile: () => void) => {
  const heard: number[] = []
  let value = 1
  const read = world.remote(owner, "read", () => Effect.sync(() => value))
  world.fork(
    owner,
    "heard",
    world.services(owner),
    read,
    found => heard.push(found),
    () => {}
  )
  world.drain()
  let calls = 0
  for (let call = world.calls[0]; call !== undefined; call = world.calls[0]) {
    world.now = Math.max(world.now, call.due)
    world.cancel(call)
    call.run()
    world.drain()
    calls++
    if (calls > 1) continue
    value = 2
    meanwhile()
  }
  return { heard, calls }
}

const worldOf = (seed: number): World => {
  const world = new World(seed, undefined, undefined)
  world.faults = NO_FAULTS
  return world
}

test("between what a request does and its answer others act: what is heard is what was", () => {
  const all = Array.from({ length: TRIES }, (_, seed) => ask(worldOf(seed), {}, () => {}))
  expect(all.map(({ heard }) => heard)).toEqual(all.map(() => [1]))
  // Some at once, some later.
  expect(new Set(all.map(({ calls }) => calls)).size).toBeGreaterThan(1)
})

test("who was killed since hears nothing of it, and who stands still hears of it when he goes on", () => {
  for (let seed = 0; seed < TRIES; seed++) {
    const [killed, frozen] = [{}, {}]
    const world = worldOf(seed)
    expect(ask(world, killed, () => world.dropCallsOf(killed)).heard).toEqual([])
    let heard = 0
    world.frozen.add(frozen)
    world.reply(frozen, "late", () => heard++)
    expect({ heard, waits: world.calls.map(({ owner }) => owner === frozen) }).toEqual({ heard: 0, waits: [true] })
  }
})
