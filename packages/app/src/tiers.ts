// The first import of main.ts: what comes behind it is not loaded twice.
import { compiled } from "./place.ts"

/**
 * Executions before JavaScriptCore's second and third compiler take a function up: eight and thirty times its own. A process
 * that starts is short of processors, and spent a fourth of them on compiling what had run for a fraction of a second; what a lane
 * runs for each record comes to these within seconds. As variables, since that is the only way in.
 */
const THRESHOLDS = {
  BUN_JSC_thresholdForOptimizeAfterWarmUp: "8000",
  BUN_JSC_thresholdForFTLOptimizeAfterWarmUp: "2000000"
}

/** Read when a process begins, so it begins once more, in its own place. Whoever has set them himself knows better. */
const [command] = process.argv.slice(2)
const unset = Object.keys(THRESHOLDS).every(name => process.env[name] === undefined)
if (compiled && command === "run" && unset && process.execve !== undefined)
  try {
    process.execve(process.execPath, [process.execPath, ...process.argv.slice(2)], { ...process.env, ...THRESHOLDS })
  } catch {
    // The file was replaced meanwhile, or nobody may: it runs as it is, and starts more slowly.
  }
