import type { EngineSnapshot, LoadSnapshot } from "./snapshot.ts"
import {
  bold,
  colouredFor,
  count,
  dim,
  green,
  megabytes,
  ms,
  red,
  seconds,
  splitEscapes,
  visibleLength,
  yellow
} from "./text.ts"

/** Shows a running load. Called with each snapshot; `close` leaves the last picture and a free line below. */
export interface LoadView {
  readonly show: (snapshot: LoadSnapshot) => void
  readonly close: () => void
}

/** What the view needs of a terminal: `process.stdout` fits. */
export interface Terminal {
  readonly isTTY?: boolean
  readonly columns?: number
  readonly write: (text: string) => unknown
}

const LINE_EVERY_MS = 5_000

/** Redraws in place on a TTY, at the pace of the snapshots; elsewhere writes one line every 5 s and at each phase. */
export const terminalView = (terminal: Terminal): LoadView =>
  terminal.isTTY === true ? redrawing(terminal) : writingLines(terminal)

const redrawing = (terminal: Terminal): LoadView => {
  let drawn = 0
  return {
    show: snapshot => {
      const lines = renderView(snapshot, terminal.columns ?? 80)
      terminal.write(up(drawn) + lines.map(line => `\x1b[2K${colouredFor(terminal, line)}\n`).join(""))
      drawn = lines.length
    },
    close: () => {
      drawn = 0
    }
  }
}

const up = (lines: number): string => (lines === 0 ? "" : `\x1b[${lines}A\r`)

const writingLines = (terminal: Terminal): LoadView => {
  let last: LoadSnapshot | undefined
  return {
    show: snapshot => {
      if (last?.phase === snapshot.phase && snapshot.elapsedMs - last.elapsedMs < LINE_EVERY_MS) return
      last = snapshot
      terminal.write(`${renderLine(snapshot)}\n`)
    },
    close: () => {}
  }
}

/** One snapshot as one line without colours. */
export const renderLine = (s: LoadSnapshot): string =>
  [
    `${s.phase} ${seconds(s.elapsedMs)}/${seconds(s.forMs)}`,
    `in ${count(s.sentEps)}/s out ${count(s.receivedEps)}/s`,
    `behind ${count(unseen(s))}`,
    `p50 ${ms(s.recent.p50)} p99 ${ms(s.recent.p99)}`,
    ...(s.clickhouse === undefined ? [] : [`clickhouse ${count(s.clickhouse.rows)} p99 ${ms(s.clickhouse.p99)}`]),
    ...(s.engine === undefined
      ? []
      : [`commits ${count(s.engine.commitsPerSecond)}/s memory ${megabytes(s.engine.rssMb)}`]),
    ...(s.engine?.restoring === undefined ? [] : [`restoring ${restoring(s.engine.restoring)}`])
  ].join("  ")

/** One snapshot as lines with ANSI colours, none wider than `width` columns. Pure. */
export const renderView = (snapshot: LoadSnapshot, width: number): readonly string[] => [
  heading(snapshot),
  progressBar(snapshot, Math.min(width, 72)),
  ...rows(snapshot)
    .map(([name, value]) => `  ${dim(name.padEnd(12))}${value}`)
    .map(line => clip(line, width))
]

const heading = (s: LoadSnapshot): string =>
  `  ${bold("payments")}  ${s.phase}  ${seconds(s.elapsedMs)} of ${seconds(s.forMs)}`

const progressBar = (s: LoadSnapshot, width: number): string => {
  const cells = Math.max(10, width - 4)
  const done = Math.round(cells * Math.min(1, s.forMs === 0 ? 1 : s.elapsedMs / s.forMs))
  return `  ${green("━".repeat(done))}${dim("─".repeat(cells - done))}`
}

const rows = (s: LoadSnapshot): readonly (readonly [string, string])[] => [
  ["in", `${count(s.sentEps)}/s   ${dim("sent")} ${count(s.sent)}${behind(s.behindMs)}`],
  ["out", `${count(s.receivedEps)}/s   ${dim("received")} ${count(s.received)}   ${dim("behind")} ${count(unseen(s))}`],
  [
    "latency",
    `${dim("p50")} ${ms(s.recent.p50)}  ${dim("p99")} ${latency(s.recent.p99)}   ${dim("whole run p50")} ${ms(s.whole.p50)}  ${dim("p99")} ${latency(s.whole.p99)}`
  ],
  ["windows", `${count(s.windows)}   ${dim("late events")} ${count(s.late)}   ${dim("alerts")} ${count(s.alerts)}`],
  ...(s.clickhouse === undefined ? [] : [clickhouseRow(s.clickhouse)]),
  ...(s.engine === undefined ? [] : engineRows(s.engine)),
  ["duplicates", s.duplicated === 0 ? green("0") : red(count(s.duplicated))]
]

/** The two are counted in different threads: for a moment the second may be ahead. */
const unseen = (s: LoadSnapshot): number => Math.max(0, s.sent - s.received)

const behind = (behindMs: number): string => (behindMs < 50 ? "" : `   ${yellow(`generator ${ms(behindMs)} behind`)}`)

const latency = (value: number): string => (value < 250 ? green(ms(value)) : yellow(ms(value)))

const clickhouseRow = (c: NonNullable<LoadSnapshot["clickhouse"]>): readonly [string, string] => [
  "clickhouse",
  `${count(c.rows)} rows   ${dim("queryable p50")} ${ms(c.p50)}  ${dim("p99")} ${ms(c.p99)}`
]

const engineRows = (e: EngineSnapshot): readonly (readonly [string, string])[] => [
  ["lag", count(e.lag)],
  [
    "commits",
    `${count(e.commitsPerSecond)}/s   ${dim("p50")} ${ms(e.commitMs.p50)}  ${dim("p99")} ${ms(e.commitMs.p99)}`
  ],
  ["memory", megabytes(e.rssMb)],
  ...(e.state ?? []).map(one => ["state", stateOf(one)] as const),
  ...(e.restoring === undefined ? [] : [["restoring", yellow(restoring(e.restoring))] as const])
]

const stateOf = ({ operator, memoryMb, diskMb }: NonNullable<EngineSnapshot["state"]>[number]): string =>
  `${megabytes(memoryMb)}${diskMb > 0 ? yellow(`  ${megabytes(diskMb)} on disk`) : ""}  ${dim(operator)}`

/** Percent, rate and what is left of a restore. */
const restoring = ({ doneBytes, totalBytes, ms: took }: NonNullable<EngineSnapshot["restoring"]>): string => {
  const percent = Math.floor((100 * doneBytes) / Math.max(1, totalBytes))
  const rate = (doneBytes * 1000) / Math.max(1, took)
  const left = rate === 0 ? "" : `  ${seconds(((totalBytes - doneBytes) * 1000) / rate)} left`
  return `${percent} % of ${megabytes(totalBytes / 1e6)}  ${megabytes(rate / 1e6)}/s${left}`
}

/** Cuts a line with colours to `width` visible columns. */
const clip = (line: string, width: number): string => {
  if (visibleLength(line) <= width) return line
  let visible = 0
  let out = ""
  for (const part of splitEscapes(line)) {
    const kept = part.startsWith("\x1b") ? part : part.slice(0, Math.max(0, width - visible))
    if (!part.startsWith("\x1b")) visible += kept.length
    out += kept
  }
  return out
}
