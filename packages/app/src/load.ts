import { writeFileSync } from "node:fs"
import {
  defaults,
  type EngineFigures,
  ensureTopics,
  type LoadOptions,
  type LoadSnapshot,
  renderSummary,
  runLoad,
  type Summary,
  summarise,
  terminalView
} from "@headrace/loadtest"
import { Effect, Option, Schema } from "effect"
import type { LoadFlags } from "./loadFlags.ts"
import { loadWorkerFile } from "./place.ts"

/** The load did what it should, but what came out is not what was sent; or its report could not be written. */
export class LoadFailed extends Schema.TaggedError<LoadFailed>()("LoadFailed", { message: Schema.String }) {}

/** Where the load goes and what its flags say. */
export const loadOptions = (
  target: Pick<LoadOptions, "kafka" | "registry" | "clickhouse">,
  flags: LoadFlags
): LoadOptions => ({
  ...defaults,
  ...target,
  rate: flags.rate,
  forMs: flags.for,
  seed: flags.seed,
  worker: loadWorkerFile()
})

export { ensureTopics }

/**
 * A load before the measured one, through the same threads and tables, so that what is measured is not the just-in-time
 * compilers of broker and runtimes. It is audited like the other, and its problems fail the run as well.
 */
export const warmUp = Effect.fnUntraced(function* (options: LoadOptions, warmupMs: number) {
  const view = terminalView(process.stderr)
  const onSnapshot = (snapshot: LoadSnapshot) => view.show({ ...snapshot, phase: "warming up" })
  const report = yield* runLoad({ ...options, forMs: warmupMs, seed: options.seed + 1, onSnapshot }).pipe(
    Effect.ensuring(Effect.sync(view.close))
  )
  if (report.problems.length === 0) return
  return yield* new LoadFailed({ message: `the audit of the warm-up found problems:\n${report.problems.join("\n")}` })
})

/** Sends the load, shows it live, and audits it. `figures` are asked for when it has ended. */
export const drive = Effect.fnUntraced(function* (options: LoadOptions, figures: Effect.Effect<EngineFigures>) {
  const view = terminalView(process.stderr)
  const report = yield* runLoad({ ...options, onSnapshot: view.show }).pipe(Effect.ensuring(Effect.sync(view.close)))
  return summarise(report, yield* figures)
})

/** Prints the summary and writes the report; fails when anything was lost, doubled or otherwise wrong. */
export const conclude = Effect.fnUntraced(function* (summary: Summary, file: Option.Option<string>) {
  process.stdout.write(`${renderSummary(summary)}\n`)
  if (Option.isSome(file)) yield* write(file.value, summary)
  if (summary.exactly_once) return
  return yield* new LoadFailed({ message: `the audit found problems:\n${summary.problems.join("\n")}` })
})

const write = (file: string, summary: Summary) =>
  Effect.try({
    try: () => writeFileSync(file, `${JSON.stringify(summary, undefined, 2)}\n`),
    catch: error => new LoadFailed({ message: `the report cannot be written to ${file} (--report): ${String(error)}` })
  })
