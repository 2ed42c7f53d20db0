import { writeFileSync } from "node:fs"
import {
  colouredFor,
  defaults,
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
import { watch } from "./watch.ts"

/** The load did what it should, but what came out is not what was sent; or its report could not be written. */
export class LoadFailed extends Schema.TaggedError<LoadFailed>()("LoadFailed", { message: Schema.String }) {}

/** Where the load goes and what its flags say. */
export const loadOptions = (
  target: Pick<LoadOptions, "kafka" | "registry" | "clickhouse" | "replication">,
  flags: LoadFlags
): LoadOptions => ({
  ...defaults,
  ...target,
  rate: flags.rate,
  forMs: flags.for,
  seed: flags.seed,
  threads: flags.threads,
  ...(Option.isSome(flags.burst) ? { burst: flags.burst.value } : {}),
  worker: loadWorkerFile()
})

export { ensureTopics }

/** Warms the pipeline up whose metrics are at `url`, then sends the load, shows it live, and audits it. */
export const measure = Effect.fnUntraced(function* (options: LoadOptions, warmUpMs: number, url: string) {
  const watched = yield* watch(url)
  const load = { ...options, engine: watched.snapshot }
  if (warmUpMs > 0) yield* warmUp({ ...load, forMs: warmUpMs, seed: options.seed + 1 })
  const figures = yield* watched.begin
  const report = yield* shown(load)
  return summarise({ ...report, warmupMs: warmUpMs }, yield* figures)
}, Effect.scoped)

/**
 * A load before the measured one, through the same threads and tables, so that what is measured is not the just-in-time
 * compilers of broker and runtimes. It is audited like the other, and its problems fail the run as well.
 */
const warmUp = Effect.fnUntraced(function* (options: LoadOptions) {
  const { problems } = yield* shown(options, snapshot => ({ ...snapshot, phase: "warming up" }))
  if (problems.length === 0) return
  return yield* new LoadFailed({ message: `the audit of the warm-up found problems:\n${problems.join("\n")}` })
})

const shown = (options: LoadOptions, as: (snapshot: LoadSnapshot) => LoadSnapshot = snapshot => snapshot) => {
  const view = terminalView(process.stderr)
  const onSnapshot = (snapshot: LoadSnapshot) => view.show(as(snapshot))
  return runLoad({ ...options, onSnapshot }).pipe(Effect.ensuring(Effect.sync(view.close)))
}

/** Prints the summary and writes the report; fails when anything was lost, doubled or otherwise wrong. */
export const conclude = Effect.fnUntraced(function* (summary: Summary, file: Option.Option<string>) {
  process.stdout.write(`${colouredFor(process.stdout, renderSummary(summary))}\n`)
  if (Option.isSome(file)) yield* write(file.value, summary)
  if (summary.exactly_once) return
  return yield* new LoadFailed({ message: `the audit found problems:\n${summary.details.problems.join("\n")}` })
})

const write = (file: string, summary: Summary) =>
  Effect.try({
    try: () => writeFileSync(file, `${JSON.stringify(summary, undefined, 2)}\n`),
    catch: error => new LoadFailed({ message: `the report cannot be written to ${file} (--report): ${String(error)}` })
  })
