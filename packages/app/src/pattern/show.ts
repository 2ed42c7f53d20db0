import type { Listed } from "./control.ts"
import type { Open } from "./request.ts"
import type { TrialOutput } from "./trial.ts"

/** A table for people. */
export const showPatterns = (listed: readonly Listed[]): string => {
  if (listed.length === 0) return "no patterns"
  const rows = listed.map(({ id, version, status, reply }) => [id, `version ${version}`, status, outcome(reply)])
  const widths = [0, 1, 2].map(i => Math.max(...rows.map(row => row[i]!.length)))
  return rows.map(row => row.map((text, i) => text.padEnd(widths[i] ?? 0)).join("  ")).join("\n")
}

const outcome = (reply: Listed["reply"]): string => {
  if (reply === undefined) return "no reply yet"
  if (!reply.accepted) return `refused: ${reply.reason}`
  if (reply.from === null) return "accepted"
  return Number.isFinite(reply.from) ? `in force from ${new Date(reply.from).toISOString()}` : "in force"
}

/** A paragraph for each match that is under way. */
export const showOpen = (key: string, found: readonly Open[]): string => {
  if (found.length === 0) return `nothing is under way in the key ${key} in this process`
  return found
    .map(({ node, pattern, path, ignored, waitsFor, until }) => {
      const ends = until === null ? "" : `, until ${until}`
      const waits = waitsFor.length === 0 ? "complete, held back" : `waits for ${waitsFor.join(" or ")}${ends}`
      const taken = path.flatMap(one => [
        ...between(one.ignored),
        `  ${one.step} at ${one.at}: ${JSON.stringify(one.event)}`
      ])
      return [`${pattern}${node === pattern ? "" : ` (${node})`} ${waits}`, ...taken, ...between(ignored)].join("\n")
    })
    .join("\n")
}

const between = (ignored = 0): readonly string[] => {
  if (ignored === 0) return []
  return [`  ${ignored} ${ignored === 1 ? "event" : "events"} ignored`]
}

/** For JSON, which has no word for some of what events may hold. */
export const plain = (_: string, value: unknown): unknown => {
  if (typeof value === "bigint") return String(value)
  return typeof value === "number" && !Number.isFinite(value) ? null : value
}

const WORDS = { match: "match", timedOut: "timed out", late: "late" } as const

/** Of a match with its path, whose events stand with the steps. */
export const trialJson = ({ path, ...output }: TrialOutput): string => {
  const shown = output.kind === "match" ? { ...output, path: path.map(({ event: _, ...how }) => how) } : output
  return JSON.stringify(shown, plain)
}

/** `match of a at 3000: small 1000 2000, large 3000 (1 ignored before)`, events by their times. */
export const showTrial = (
  { kind, key, at, steps, path }: TrialOutput,
  timeOf: (event: object) => number | undefined
): string => {
  const ignored = new Map(path.map(one => [one.event, one.ignored ?? 0]))
  const shown = (event: object) => {
    const before = ignored.get(event) ?? 0
    return `${timeOf(event)}${before === 0 ? "" : ` (${before} ignored before)`}`
  }
  const times = (events: readonly object[]) => events.map(shown).join(" ")
  if (kind === "late") return `${WORDS[kind]} of ${key} at ${at}`
  return `${WORDS[kind]} of ${key} at ${at}: ${steps.map(({ step, events }) => `${step} ${times(events)}`).join(", ")}`
}
