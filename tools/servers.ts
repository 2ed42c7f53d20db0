// Run by Bun from setup.mjs, since the development servers are TypeScript.
import { ensureServers, MissingTool } from "../packages/dev/src/index.ts"

try {
  await ensureServers(console.log)
} catch (error) {
  console.error(error instanceof MissingTool ? error.message : error)
  process.exitCode = 1
}
