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

/** The command that runs this very program with other arguments. */
export const selfCommand = (args: readonly string[]): readonly [string, ...string[]] =>
  compiled ? [process.execPath, ...args] : [process.execPath, fileAt("packages/app/src/main.ts"), ...args]
