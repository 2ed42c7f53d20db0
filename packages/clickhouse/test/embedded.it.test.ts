import { afterAll, beforeAll } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Scope } from "effect"
import { connect, type ServerShape } from "../src/server.ts"
import { sinkSuite } from "./suite.ts"

const scope = Scope.makeUnsafe()
const directory = mkdtempSync(join(tmpdir(), "headrace-chdb-"))
let server: ServerShape
beforeAll(async () => {
  server = await Effect.runPromise(Scope.provide(connect({ url: `chdb:${directory}`, database: "embedded" }), scope))
})
afterAll(async () => {
  await Effect.runPromise(Scope.close(scope, Exit.void))
  rmSync(directory, { recursive: true, force: true })
})

sinkSuite("embedded", () => server)
