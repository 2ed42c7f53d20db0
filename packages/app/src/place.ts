import { resolve } from "node:path"
import { fileURLToPath } from "node:url"

/** Set by build.ts: inside the compiled binary files have other places. */
declare const HEADRACE_COMPILED: boolean | undefined

export const compiled = typeof HEADRACE_COMPILED !== "undefined"

/** A file of the workspace, by its path from the root; in the binary, the place where build.ts embedded it. */
const fileAt = (path: string): string =>
  compiled
    ? `/$bunfs/root/${path.replace(/\.ts$/, ".js")}`
    : fileURLToPath(new URL(`../../../${path}`, import.meta.url))

/** What every thread of the pool runs. */
export const workerFile = (): string => fileAt("workers/task.ts")

/** What the load generator's threads run. */
export const loadWorkerFile = (): string => fileAt("loadtest/src/worker.ts")

/** What a thread runs that measures one of Nexmark's queries. */
export const nexmarkWorkerFile = (): string => fileAt("loadtest/nexmark/memory/thread.ts")

/** Nexmark's queries, of the public list, but q10, which writes files. */
export const NEXMARK_QUERIES: readonly string[] = Array.from({ length: 23 }, (_, i) => `q${i}`).filter(q => q !== "q10")

/** The pipelines that this program brings along, by the names under which `run` and `explain` know them. */
export const BUILT_IN: Readonly<Record<string, string>> = {
  payments: "loadtest/src/scenarios/payments/pipeline.ts",
  ...Object.fromEntries(NEXMARK_QUERIES.map(query => [`nexmark-${query}`, `loadtest/nexmark/queries/${query}.ts`]))
}

/** The module of a pipeline: one of those, or a file, relative to a directory. */
export const pipelineFile = (name: string, directory = "."): string => {
  const builtIn = BUILT_IN[name]
  return builtIn === undefined ? resolve(directory, name) : fileAt(builtIn)
}

/** The command that runs this very program with other arguments. */
export const selfCommand = (args: readonly string[]): readonly [string, ...string[]] =>
  compiled ? [process.execPath, ...args] : [process.execPath, fileAt("packages/app/src/main.ts"), ...args]
