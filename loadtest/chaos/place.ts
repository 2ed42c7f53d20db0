import { fileURLToPath } from "node:url"

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

/** Headrace as it is developed: Bun and the main file. */
export const fromSources: readonly string[] = [process.execPath, path("../../packages/app/src/main.ts")]
export const build = path("../../packages/app/build.ts")
export const job = path("./job/pipeline.ts")
/** Without the defence against torn transactions: to see that the audit finds what the defence prevents. */
export const undefendedJob = path("./job/undefended.ts")
