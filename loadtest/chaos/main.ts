import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { parseArgs } from "node:util"
import { build } from "./place.ts"
import { plan, planOfOne, planOfThree } from "./plan.ts"
import type { ChaosReport } from "./report.ts"
import { runChaos, type Stage } from "./run.ts"

/**
 * `npm run chaos -- --for 10m --seed 1 --report chaos.json`: real processes on real servers under load, one fault after
 * the other, and an audit that trusts none of it. Exit code 1 when anything was lost, doubled, out of order, when an alert is
 * missing or false, or a fault did not recover; 130 when it was interrupted, after the audit of what there was. `--brokers 1` or `3`: one of its parts only.
 * `--protocol consumer`: with KIP-848 groups. `--first`: before whatever else the machine does.
 */
const { values: flags } = parseArgs({
  options: {
    for: { type: "string", default: "10m" },
    seed: { type: "string", default: "1" },
    report: { type: "string" },
    rate: { type: "string", default: "3000" },
    accounts: { type: "string", default: "1000000" },
    session: { type: "string", default: "10s" },
    protocol: { type: "string", default: "classic" },
    standby: { type: "string", default: "0" },
    brokers: { type: "string" },
    first: { type: "boolean", default: false },
    only: { type: "string" }
  }
})

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

const millis = (flag: string, text: string): number => {
  const [, number, unit] = /^(\d+)\s*(ms|s|m|h)$/.exec(text) ?? []
  if (unit === undefined) throw new Error(`--${flag} ${text}: expected a time like 10m or 90s`)
  return Number(number) * UNITS[unit]!
}

const whole = (flag: string, text: string): number => {
  if (!/^\d+$/.test(text)) throw new Error(`--${flag} ${text}: expected a whole number`)
  return Number(text)
}

const startedAt = performance.now()
const say = (line: string): void => {
  const seconds = Math.round((performance.now() - startedAt) / 1000)
  console.log(`${String(Math.floor(seconds / 60)).padStart(2, "0")}:${String(seconds % 60).padStart(2, "0")}  ${line}`)
}

const alertWords = ({ found, missed, false: wrong, duplicated }: ChaosReport["alerts"]["kafka"]): string =>
  `found ${found}, missed ${missed}, false ${wrong} (duplicated ${duplicated})`

const show = (report: ChaosReport): void => {
  console.table(
    report.faults.map(({ recovery_ms: { p50, p99 }, committed_ms, session_timeout_ms, ...row }) => ({
      ...row,
      "recovery p50": p50,
      p99,
      "committed p99": committed_ms?.p99 ?? "",
      "of it session": session_timeout_ms ?? ""
    }))
  )
  const { kill, zombie, late, broker } = report.totals
  console.log(
    `${report.events} events, ${kill} kills, ${zombie} zombies, ${late} late requests, ${broker} broker restarts`
  )
  console.log(`lost ${report.lost}, duplicated ${report.duplicated}, disordered ${report.disordered}`)
  const { planted, kafka, clickhouse } = report.alerts
  console.log(
    `${planted} sequences planted; alerts in Kafka: ${alertWords(kafka)}; in ClickHouse: ${alertWords(clickhouse)}`
  )
  for (const problem of [...report.problems, ...report.open_transactions.map(one => `open transaction: ${one}`)]) {
    console.log(problem)
  }
  for (const one of report.missed) console.log(`missed once: ${one}`)
  console.log(report.passed ? "passed" : "FAILED")
}

const interrupted = new AbortController()
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // The second one does not wait for the audit.
    if (interrupted.signal.aborted) process.exit(130)
    say("interrupted: auditing what there is; again to end at once")
    interrupted.abort()
  })
}

/** What users run starts in half the time of the sources. */
const binary = async (): Promise<string> => {
  const file = join(mkdtempSync(join(tmpdir(), "headrace-chaos-binary-")), "headrace")
  process.on("exit", () => rmSync(dirname(file), { recursive: true, force: true }))
  const built = Bun.spawn([process.execPath, build, file], { stdout: "ignore", stderr: "inherit" })
  if ((await built.exited) !== 0) throw new Error("the binary could not be built")
  return file
}

/** The usual rounds, or one fault again and again. */
const planned = (brokers: 1 | 3, seed: number) => {
  if (flags.only !== undefined) return planOfOne(flags.only, brokers, seed)
  return brokers === 1 ? plan(seed) : planOfThree(seed)
}

const protocolOf = (text: string) => {
  if (text !== "classic" && text !== "consumer") throw new Error(`--protocol ${text}: expected classic or consumer`)
  return text
}

const seed = whole("seed", flags.seed)
const forMs = millis("for", flags.for)
const accounts = whole("accounts", flags.accounts)
/** With three brokers: the last part of a run that is long enough for it, or all of it. */
const lengthOfThree = (brokers: string | undefined): number => {
  if (brokers === undefined) return forMs < 300_000 || flags.only !== undefined ? 0 : Math.min(240_000, forMs / 5)
  if (brokers !== "1" && brokers !== "3") throw new Error(`--brokers ${brokers}: expected 1 or 3`)
  return brokers === "1" ? 0 : forMs
}
const ofThreeMs = lengthOfThree(flags.brokers)
const stageOf = (brokers: 1 | 3, forMs: number, accounts: number): readonly Stage[] =>
  forMs === 0 ? [] : [{ brokers, plan: planned(brokers, seed), forMs, accounts }]
const report = await runChaos({
  seed,
  program: [await binary()],
  stages: [...stageOf(1, forMs - ofThreeMs, accounts), ...stageOf(3, ofThreeMs, Math.min(accounts, 100_000))],
  rate: whole("rate", flags.rate),
  sessionMs: millis("session", flags.session),
  protocol: protocolOf(flags.protocol),
  standby: whole("standby", flags.standby),
  first: flags.first,
  say,
  signal: interrupted.signal
})
if (flags.report !== undefined) writeFileSync(flags.report, `${JSON.stringify(report, undefined, 2)}\n`)
show(report)
process.exit(interrupted.signal.aborted ? 130 : report.passed ? 0 : 1)
