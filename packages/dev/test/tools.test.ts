import { afterEach, expect, test } from "bun:test"
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { startClickHouse, startKafka, startRegistry } from "@headrace/dev"
import { cached } from "../src/cache.ts"
import { freePorts, StartFailed } from "../src/process.ts"
import { brokerAnswers } from "../src/wire.ts"

const directories: string[] = []

function scratch(): string {
  const directory = mkdtempSync(join(tmpdir(), "headrace-tools-"))
  directories.push(directory)
  return directory
}

afterEach(() => {
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

/** What `start` says in a process with this PATH and an empty cache. */
function messageOf(start: string, path: string): string {
  const script = `import { ${start} } from "@headrace/dev"; await ${start}().catch(e => console.log(e.name + ": " + e.message))`
  const env = { PATH: path, HOME: scratch(), HEADRACE_CACHE: scratch() }
  return Bun.spawnSync([process.execPath, "-e", script], { cwd: import.meta.dir, env }).stdout.toString()
}

function fakeTool(name: string, script: string): string {
  const directory = scratch()
  writeFileSync(join(directory, name), `#!/bin/sh\n${script}\n`)
  chmodSync(join(directory, name), 0o755)
  return directory
}

test("a missing tool is named with what needs it and how to get it", () => {
  expect(messageOf(startKafka.name, "")).toMatch(/MissingTool: "java" is not on PATH: .*Kafka.*JDK.*17.*apt install/)
  expect(messageOf(startRegistry.name, "")).toMatch(/MissingTool: "java" is not on PATH: .*registry.*JDK/)
  expect(messageOf(startClickHouse.name, "")).toMatch(/MissingTool: "cc" is not on PATH: .*C compiler.*apt install/)
  const java = fakeTool("java", "echo 'openjdk version \"21.0.1\"' >&2")
  expect(messageOf(startKafka.name, java)).toMatch(/MissingTool: "mvn" is not on PATH: .*Maven.*apt install maven/)
})

test("a Java that is too old is named with its version", () => {
  const java = fakeTool("java", "echo 'java version \"1.8.0_301\"' >&2")
  expect(messageOf(startKafka.name, java)).toMatch(/java is too old \(java version "1.8.0_301"\).*17 or newer/)
})

test("an entry of the cache is made once by many, and not at all by a maker that fails", async () => {
  const path = join(scratch(), "entry")
  let made = 0
  const make = async (temporary: string) => {
    made++
    await Bun.sleep(5)
    writeFileSync(temporary, "whole")
  }
  await expect(cached(path, () => Promise.reject(new Error("no disk")))).rejects.toThrow("no disk")
  expect(existsSync(path)).toBe(false)
  await Promise.all(Array.from({ length: 5 }, () => cached(path, make)))
  expect(made).toBe(1)
  expect(readdirSync(join(path, ".."))).toEqual(["entry"])
})

test("the lock of a process that died does not hold up the next", async () => {
  const path = join(scratch(), "entry")
  const dead = Bun.spawnSync(["true"]).pid
  writeFileSync(`${path}.lock`, String(dead))
  await cached(path, async temporary => writeFileSync(temporary, ""))
  expect(existsSync(path)).toBe(true)
})

test("free ports are distinct and can be bound", async () => {
  const ports = await freePorts(20)
  expect(new Set(ports).size).toBe(20)
  const server = createServer().listen(ports[0], "127.0.0.1")
  await new Promise(resolve => server.once("listening", resolve))
  server.close()
})

test("a port that says nothing, or something else, is no broker", async () => {
  const [closed] = await freePorts(1)
  expect(await brokerAnswers("127.0.0.1", closed!)).toBe(false)
  const server = createServer(socket => socket.end("HTTP/1.1 400\r\n\r\n")).listen(0, "127.0.0.1")
  await new Promise(resolve => server.once("listening", resolve))
  const { port } = server.address() as { port: number }
  expect(await brokerAnswers("127.0.0.1", port)).toBe(false)
  server.close()
})

test("only a log that tells of a taken port asks for other ports", () => {
  expect(new StartFailed("Kafka", "java.net.BindException: Address already in use", "ended").portTaken).toBe(true)
  expect(new StartFailed("Kafka", "java.lang.OutOfMemoryError", "ended").portTaken).toBe(false)
})

test("a running server that is named by the environment but does not answer is an error that names the variable", async () => {
  const [closed] = await freePorts(1)
  process.env.HEADRACE_KAFKA = `127.0.0.1:${closed}`
  process.env.HEADRACE_CLICKHOUSE = `http://127.0.0.1:${closed}`
  try {
    await expect(startKafka()).rejects.toThrow(/HEADRACE_KAFKA=127.0.0.1:\d+: no Kafka broker answers/)
    await expect(startClickHouse()).rejects.toThrow(/HEADRACE_CLICKHOUSE=http.*: no ClickHouse answers/)
  } finally {
    delete process.env.HEADRACE_KAFKA
    delete process.env.HEADRACE_CLICKHOUSE
  }
})
