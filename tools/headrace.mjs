// The entry of the npm scripts: node tools/headrace.mjs setup|demo|build|bench|nexmark|chaos|sim|conformance|test [arguments]
// Sets up what the command needs and then runs it with the pinned Bun.
import { join } from "node:path"
import { bun, root } from "./files.mjs"
import { runInstead } from "./run.mjs"
import { setUp } from "./setup.mjs"

/** Program and arguments of each command. */
const commands = {
  demo: [bun, join(root, "packages", "app", "src", "main.ts"), "demo"],
  build: [bun, join(root, "packages", "app", "build.ts")],
  bench: [bun, join(root, "loadtest", "bench", "main.ts")],
  nexmark: [bun, join(root, "loadtest", "nexmark", "main.ts")],
  chaos: [bun, join(root, "loadtest", "chaos", "main.ts")],
  sim: [bun, join(root, "packages", "sim", "src", "main.ts")],
  conformance: [bun, join(root, "test", "conformance", "vectors", "main.ts")],
  test: [process.execPath, join(root, "tools", "test.mjs")]
}

const [command = "", ...args] = process.argv.slice(2)

try {
  process.exitCode = await main()
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
  // The one line that a test run owes to whoever reads its end.
  if (command === "test") console.log("0 passed, 1 failed")
}

async function main() {
  if (command === "setup") return setUp("test").then(() => 0)
  const program = commands[command]
  if (!program) {
    console.error(`usage: node tools/headrace.mjs setup|${Object.keys(commands).join("|")} [arguments]`)
    return 2
  }
  await setUp(command)
  return runInstead(program[0], [...program.slice(1), ...args])
}
