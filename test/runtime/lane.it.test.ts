import { afterAll, beforeAll, expect, test } from "bun:test"
import { join } from "node:path"
import { digest, toPlan } from "headrace"
import pipeline, { Order, Rated, Total } from "../fixtures/orders.ts"
import { type OrdersWorld, startOrders } from "../support/orders.ts"
import { receive, send } from "../support/records.ts"

const root = join(import.meta.dir, "../..")
const bin = (name: string) => join(root, "node_modules/.bin", name)
const RECORDS = 1000

let world: OrdersWorld

beforeAll(async () => {
  world = await startOrders()
  const orders = Array.from({ length: RECORDS }, (_, i) => {
    const account = `account-${i % 7}`
    return { key: account, id: i, account, cents: i, at: i * 20 }
  })
  await send(world.servers, "orders", Order, orders)
})

afterAll(() => world?.stop())

const runIn = async (command: readonly string[], app: string) => {
  const task = { job: world.job(app), digest: digest(toPlan(pipeline)), records: RECORDS }
  const script = join(import.meta.dir, "lane.ts")
  const child = Bun.spawn([...command, script, JSON.stringify(task)], { stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited
  ])
  if (code !== 0) throw new Error(`${command[0]} ended with ${code}: ${err}`)
  return JSON.parse(out) as { read: number; written: boolean }
}

const RUNTIMES = { Bun: [bin("bun")], Node: [bin("node")], Deno: [bin("deno"), "run", "--allow-all", "--no-lock"] }

Object.entries(RUNTIMES).forEach(([runtime, command], before) => {
  test(`a typed pipeline runs end to end in ${runtime}`, async () => {
    expect(await runIn(command, `orders-${runtime.toLowerCase()}`)).toEqual({ read: RECORDS, written: true })
    const rated = await receive(world.servers, "orders.rated", Rated)
    expect(rated.length).toBe(RECORDS * (before + 1))
    const totals = await receive(world.servers, "orders.totals", Total)
    const first = totals.filter(({ value }) => value.windowStart === 0)
    expect(first.reduce((sum, { value }) => sum + Number(value.orders), 0)).toBe(500 * (before + 1))
  })
})
