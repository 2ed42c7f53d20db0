/** Loaded before every test file (bunfig.toml). A test, or a hook, that hangs fails after this, unless it says otherwise. */
import { setDefaultTimeout } from "bun:test"

/** Far more than any takes on a busy machine: no test is about being done by then. */
const MINUTES = 5

setDefaultTimeout(MINUTES * 60_000)
