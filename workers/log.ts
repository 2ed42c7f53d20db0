import type { LaneMetrics } from "@headrace/engine"
import { Formatter, type Layer, Logger, References } from "effect"

const LABELS: Readonly<Record<string, string>> = { Warn: "WARN ", Error: "ERROR", Fatal: "FATAL", Debug: "DEBUG" }

/**
 * One line an event: `12:00:01.250 WARN  lane 1: restarting in 500 ms  attempt=2`. Goes to stderr, so that stdout
 * belongs to results.
 */
const lineLogger = Logger.make<unknown, void>(({ date, fiber, logLevel, message }) => {
  const { unit, ...annotations } = fiber.getRef(References.CurrentLogAnnotations)
  const time = date.toISOString().slice(11, 23)
  const subject = unit === undefined ? "" : `${String(unit)}: `
  const details = Object.entries(annotations).map(([name, value]) => `  ${name}=${show(value)}`)
  process.stderr.write(`${time} ${LABELS[logLevel] ?? "INFO "} ${subject}${text(message)}${details.join("")}\n`)
})

const text = (message: unknown): string => (Array.isArray(message) ? message : [message]).map(show).join(" ")

const show = (value: unknown): string => {
  if (typeof value === "string") return value
  return value instanceof Error ? value.message : Formatter.format(value)
}

export const layerLog = Logger.layer([lineLogger])

const WARNINGS: ReadonlySet<string> = new Set(["Warn", "Error", "Fatal"])

/** Besides: keeps the last warning where the main thread sees it. */
export const layerNoted = (metrics: LaneMetrics): Layer.Layer<never> => {
  const noted = Logger.make<unknown, void>(({ date, logLevel, message }) => {
    if (WARNINGS.has(logLevel)) metrics.warning.say(text(message), date.getTime())
  })
  return Logger.layer([noted], { mergeWithExisting: true })
}
