import { execFile } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join, sep } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

/** What `independent.mjs` prints; see there. */
export interface IndependentAudit {
  readonly records: number
  readonly distinct: number
  readonly duplicated: number
  readonly disordered: number
  /** Undefined where `sent` was not given. */
  readonly missing?: number
  readonly unreadable: number
  readonly foreign: number
  readonly threads: readonly {
    readonly run: number
    readonly thread: number
    readonly distinct: number
    readonly lowest: number
    readonly highest: number
  }[]
}

export interface IndependentOptions {
  readonly bootstrap: string
  readonly registry: string
  readonly topic: string
  /** Events that each generator thread sent. */
  readonly sent?: readonly number[]
  /** Counts only the events of this run. */
  readonly run?: number
}

const SCRIPT = fileURLToPath(new URL("./independent.mjs", import.meta.url))

/**
 * Reads a whole topic, read_committed, with Confluent's own client and avsc in a Node process: nothing of Headrace
 * takes part. For tests. Rejects with the script's message.
 */
export const auditIndependently = async (options: IndependentOptions): Promise<IndependentAudit> => {
  const flags = ["--bootstrap", options.bootstrap, "--registry", options.registry, "--topic", options.topic]
  if (options.sent !== undefined) flags.push("--sent", options.sent.join(","))
  if (options.run !== undefined) flags.push("--run", String(options.run))
  const { stdout } = await promisify(execFile)(systemNode(), [SCRIPT, ...flags], { maxBuffer: 1 << 24 })
  return JSON.parse(stdout) as IndependentAudit
}

/** The machine's own Node: the binding is built for it, not for those that packages bring along. */
const systemNode = (): string => {
  const places = (process.env.PATH ?? "").split(delimiter).filter(place => !place.split(sep).includes("node_modules"))
  const found = places.map(place => join(place, "node")).find(isExecutable)
  if (found === undefined) throw new Error("there is no node on the PATH (outside of node_modules): install Node ≥ 20")
  return found
}

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return true
  } catch {
    // Not there, or not for us: look on.
    return false
  }
}
