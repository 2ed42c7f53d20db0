// npm run conformance: runs Flink's results of a directory (default: those of the project) and says what they came to.
import { join } from "node:path"
import { runAll } from "./run.ts"

const directory = process.env["HEADRACE_VECTORS"] ?? join(import.meta.dir, "../../vectors")
/** Of a kind's failures. */
const SHOWN = 10

const results = runAll(directory)
for (const { kind, passed, failed } of results) {
  console.log(`${kind.padEnd(24)} ${passed} passed, ${failed.length} failed`)
  for (const one of failed.slice(0, SHOWN)) console.log(`  ${one}`)
  if (failed.length > SHOWN) console.log(`  … and ${failed.length - SHOWN} more`)
}
const [passed, failed] = [
  results.reduce((sum, one) => sum + one.passed, 0),
  results.reduce((sum, one) => sum + one.failed.length, 0)
]
if (passed + failed === 0) console.log(`No cases in ${directory}`)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
