import { afterAll, beforeAll, expect, test } from "bun:test"
import { mkdtemp, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Kafka, type Registry, startKafka, startRegistry } from "@headrace/dev"
import { Schema } from "effect"
import { Headrace, poll } from "../support/headrace.ts"
import { createTopic, receive, type Servers, send } from "../support/records.ts"

const Item = Schema.Struct({ id: Schema.Int, partition: Schema.Int }).annotate({ identifier: "Item" })

let kafka: Kafka
let registry: Registry
let servers: Servers
let directory: string

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "headrace-lane-"))
  ;[kafka, registry] = await Promise.all([startKafka(), startRegistry()])
  servers = { bootstrap: kafka.bootstrap, registry: registry.url }
})

afterAll(async () => {
  await Promise.all([kafka?.stop(), registry?.stop()])
  await rm(directory, { recursive: true, force: true })
})

/** Deep enough in what is sent that a commit comes while records before it are done and others are under way. */
const isDeadly = (id: number): boolean => id % 400 === 398

/** A pipeline that copies, and that ends its lane at some records of partition 0 while the file `deadly` exists. */
const writePipeline = async (topic: string, death: string, deadly: string): Promise<string> => {
  const file = join(directory, `${topic}.ts`)
  await writeFile(
    file,
    `import { existsSync } from "node:fs"
import { Effect, Schema } from "effect"
import { Pipeline, Sink, Source } from "headrace"

const Item = Schema.Struct({ id: Schema.Int, partition: Schema.Int }).annotate({ identifier: "Item" })
const isDeadly = ${isDeadly}
const copy = (item: typeof Item.Type) =>
  Effect.delay(Effect.suspend(() => {
    if (isDeadly(item.id) && existsSync(${JSON.stringify(deadly)})) ${death}
    return Effect.succeed(item)
  }), "20 millis")
export default Pipeline.make("${topic}").from(Source.kafka("${topic}", Item)).mapEffect(copy).to(Sink.kafka("${topic}.out", Item))
`
  )
  return file
}

/** Even ids into partition 0, odd ones into partition 1. */
const sendItems = (topic: string, from: number, to: number) =>
  send(
    servers,
    topic,
    Item,
    Array.from({ length: to - from }, (_, i) => ({
      id: from + i,
      partition: (from + i) % 2,
      key: `key-${(from + i) % 6}`
    }))
  )

const evens = (to: number) => Array.from({ length: to / 2 }, (_, i) => 2 * i)
const odds = (to: number) => evens(to).map(id => id + 1)

/** The ids that came out of one partition, sorted, so that what is doubled or missing shows. */
const cameOut = async (topic: string, from: 0 | 1): Promise<number[]> => {
  const ids = (await receive(servers, `${topic}.out`, Item)).map(({ value }) => Number(value.id))
  return ids.filter(id => id % 2 === from).sort((a, b) => a - b)
}

test.each([
  ["dies-of-a-defect", `throw new Error("cannot go on")`],
  ["dies-by-exit", "process.exit(3)"]
])(
  "a lane that dies again and again is restarted, the other one goes on, nothing is lost or doubled: %s",
  async (topic, death) => {
    const deadly = join(directory, `${topic}.deadly`)
    await createTopic(servers, topic, 2)
    const headrace = new Headrace(await writePipeline(topic, death, deadly), {
      clusters: { kafka: kafka.bootstrap, registry: registry.url },
      checkpoints: join(directory, "checkpoints"),
      flags: ["--lanes", "2"]
    })
    const until = (holds: () => Promise<boolean>) =>
      poll(
        async () => !headrace.running || (await holds()),
        () => headrace.log
      )
    await sendItems(topic, 0, 1000)
    await until(async () => (await cameOut(topic, 0)).length + (await cameOut(topic, 1)).length === 1000)
    await writeFile(deadly, "")
    await sendItems(topic, 1000, 2000)
    const [, dead] = await headrace.says(/WARN +lane (\d): failed, starts again/)
    const commits = () => headrace.metric("headrace_commits_total", `unit="lane ${1 - Number(dead)}"`)
    const before = await commits()
    await sendItems(topic, 2000, 4000)
    await until(async () => (await cameOut(topic, 1)).length === 2000)
    await until(async () => (await headrace.metric("headrace_restarts_total")) >= 3)
    expect(headrace.running ? "running" : headrace.log).toBe("running")
    expect(await cameOut(topic, 1)).toEqual(odds(4000))
    const stuck = await cameOut(topic, 0)
    expect(stuck).toEqual(evens(stuck.length * 2))
    expect(stuck.filter(id => id >= 1000).some(isDeadly)).toBe(false)
    expect(await commits()).toBeGreaterThan(before)
    await rm(deadly)
    await until(async () => (await cameOut(topic, 0)).length === 2000)
    expect(await headrace.stop()).toBe(0)
    expect(await cameOut(topic, 0)).toEqual(evens(4000))
    expect(await cameOut(topic, 1)).toEqual(odds(4000))
  }
)
