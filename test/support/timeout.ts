/**
 * Loaded before a test file (bunfig.toml). A test, or a hook, that hangs fails after this, unless it says otherwise. Of several
 * files in one process only the first has it, and the others Bun's five seconds: `npm test` runs each in its own.
 */
import { setDefaultTimeout } from "bun:test"

/** Far more than any takes on a busy machine: no test is about being done by then. */
const MINUTES = 5

setDefaultTimeout(MINUTES * 60_000)
