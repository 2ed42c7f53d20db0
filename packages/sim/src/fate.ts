import { LogError, type LogFailure } from "@headrace/engine"
import type { Fault } from "./faults.ts"
import type { World } from "./world.ts"

/** What became of a request: `lost` ones may still arrive. */
export type Fate = "ok" | "unknownDone" | "unknownLost" | "unknownLate" | "abort" | "fenced" | "retry"

/** Of the request that is under way. */
export const drawFate = ({ random, faults }: World): Fate => {
  if (!random.chance(faults.fail * 2)) return "ok"
  if (random.chance(0.05)) return "fenced"
  return random.pick(["unknownDone", "unknownLost", "unknownLate", "abort", "retry"] as const)
}

/** By what it is counted. */
export const FATES: Readonly<Record<Exclude<Fate, "ok">, Fault>> = {
  unknownDone: "answer lost",
  unknownLost: "request lost",
  unknownLate: "request late",
  abort: "request refused",
  fenced: "request refused",
  retry: "request refused"
}

/** What the client makes of it. */
export const failureOf = (fate: Fate): LogFailure => {
  if (fate === "fenced") return "Fenced"
  if (fate === "abort") return "Abort"
  return fate === "retry" ? "Retry" : "Unknown"
}

/** What the log says to it; undefined: it did it. */
export const refusal = (apply: () => void): LogError | undefined => {
  try {
    apply()
    return undefined
  } catch (error) {
    if (error instanceof LogError) return error
    throw error
  }
}
