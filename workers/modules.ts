import { pathToFileURL } from "node:url"
import * as effect from "effect"
import * as headrace from "headrace"

/**
 * Serves `headrace`, `effect` and `effect/<Module>` to users' pipeline files from inside this program, so that they
 * need no node_modules and share the engine's instances. Every thread runs it before it imports a pipeline. Only Bun
 * (the compiled binary) needs it; Node and Deno resolve the packages from the workspace.
 */
const serveModules = (): void => {
  if (served || globalThis.Bun === undefined) return
  served = true
  Bun.plugin({
    name: "headrace",
    setup(build) {
      for (const [name, exports] of modules()) build.module(name, () => ({ exports, loader: "object" }))
    }
  })
}
let served = false

const modules = (): [string, Record<string, unknown>][] => [
  ["headrace", { ...headrace }],
  ["effect", { ...effect }],
  ...Object.entries(effect).flatMap(([name, value]): [string, Record<string, unknown>][] =>
    isNamespace(value) ? [[`effect/${name}`, { ...value }]] : []
  )
]

/** `effect` re-exports its modules as namespaces beside a few plain functions. */
const isNamespace = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null

/** Imports a pipeline file and returns its default export. Rejects with whatever the runtime says about the file. */
export const importPipeline = async (path: string): Promise<unknown> => {
  serveModules()
  const module: Record<string, unknown> = await import(pathToFileURL(path).href)
  return module.default
}
