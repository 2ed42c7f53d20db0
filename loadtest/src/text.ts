const ansi = (code: number) => (text: string) => `\x1b[${code}m${text}\x1b[0m`
export const bold = ansi(1)
export const dim = ansi(2)
export const red = ansi(31)
export const green = ansi(32)
export const yellow = ansi(33)

const ESCAPES = new RegExp(`(${String.fromCharCode(27)}\\[\\d+m)`, "g")

/** Columns that a text takes on a terminal. */
export const visibleLength = (text: string): number => text.replace(ESCAPES, "").length

/** A text cut at its colour codes, which stay as parts of their own. */
export const splitEscapes = (text: string): readonly string[] => text.split(ESCAPES)

/** A text as this terminal should get it: with its colours, or without where nobody sees or wants them. */
export const colouredFor = (terminal: { readonly isTTY?: boolean }, text: string): string =>
  terminal.isTTY === true && !process.env.NO_COLOR ? text : text.replace(ESCAPES, "")

const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 })

/** 60000 as 60,000. */
export const count = (value: number): string => (Number.isFinite(value) ? grouped.format(value) : "–")
/** Milliseconds: one decimal below 10, seconds above 10,000. */
export const ms = (value: number): string => {
  if (!Number.isFinite(value)) return "–"
  if (value >= 10_000) return `${(value / 1000).toFixed(1)} s`
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`
}
export const seconds = (milliseconds: number): string => `${Math.round(milliseconds / 1000)} s`
export const megabytes = (value: number): string => `${count(value)} MB`
