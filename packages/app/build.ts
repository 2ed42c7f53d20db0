/**
 * Makes `dist/headrace`: one executable with the engine, its worker threads, the native client, what pipelines may
 * import, the payments pipeline and Nexmark's queries. Run from anywhere: `bun packages/app/build.ts [outfile]`.
 */
import { mkdirSync } from "node:fs"
import { dirname, join, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import type { BunPlugin } from "bun"
import { BUILT_IN } from "./src/place.ts"

const root = fileURLToPath(new URL("../../", import.meta.url))

/** What runs in threads. In the binary each is found under EMBEDDED + its path from the root (see src/place.ts). */
const WORKERS = ["workers/task.ts", "loadtest/src/worker.ts", "loadtest/nexmark/memory/thread.ts"]
const PISCINA_WORKER = "node_modules/piscina/dist/worker.js"
const EMBEDDED = "/$bunfs/root/"

/** Piscina looks for its worker beside itself, where a binary has nothing: the embedded path takes that place. */
const embeddedPiscina: BunPlugin = {
  name: "embedded-piscina",
  setup(build) {
    build.onLoad({ filter: /piscina\/dist\/index\.js$/ }, async ({ path }) => {
      const source = await Bun.file(path).text()
      const contents = source.replace(
        "(0, node_path_1.resolve)(__dirname, 'worker.js')",
        `"${EMBEDDED}${PISCINA_WORKER}"`
      )
      if (contents === source)
        throw new Error(`${path} resolves its worker in another way now: adapt ${import.meta.path}`)
      return { contents, loader: "js" }
    })
  }
}

/** Bun has a `ws` of its own, and its bundler trips over `export *` from it: the names are written out. */
const builtInWs: BunPlugin = {
  name: "built-in-ws",
  setup(build) {
    build.onLoad({ filter: /platform-node-shared\/dist\/NodeWS\.js$/ }, () => ({
      contents: 'export { default, WebSocket, WebSocketServer } from "ws"',
      loader: "js"
    }))
  }
}

/** What a pipeline gets from this program, wherever its file lies (workers/modules.ts). */
const SERVED = ["headrace", "effect", "effect/*"]

const bundled = async (path: string): Promise<[path: string, text: string]> => {
  const { outputs } = await Bun.build({ entrypoints: [join(root, path)], target: "bun", external: SERVED })
  return [join(root, path), await outputs[0]!.text()]
}
/** Made before the build, since one build does not run within another. */
const pipelines = new Map(await Promise.all(Object.values(BUILT_IN).map(bundled)))

/**
 * Pipelines are embedded as the file of a user would be, each in one piece: their `headrace` and `effect` are those of
 * the thread that imports them, not copies.
 */
const embeddedPipelines: BunPlugin = {
  name: "embedded-pipelines",
  setup(build) {
    build.onLoad({ filter: /\/(pipeline|q\d+)\.ts$/ }, ({ path }) => {
      const contents = pipelines.get(path)
      return contents === undefined ? undefined : { contents, loader: "js" }
    })
    build.onResolve({ filter: /^(headrace|effect)(\/|$)/ }, ({ path, importer }) =>
      pipelines.has(importer) ? { path, external: true } : undefined
    )
  }
}

const outfile = resolve(process.argv[2] ?? join(root, "dist/headrace"))
mkdirSync(dirname(outfile), { recursive: true })
process.chdir(root)
const result = await Bun.build({
  entrypoints: ["packages/app/src/main.ts", ...WORKERS, PISCINA_WORKER, ...Object.values(BUILT_IN)].map(path =>
    join(root, path)
  ),
  root,
  target: "bun",
  // Parsed while it is built: each process and each thread starts in a third of the time.
  bytecode: true,
  format: "esm",
  define: { HEADRACE_COMPILED: "true" },
  // The embedded ClickHouse (half a gigabyte) is for development; a binary talks to a server. And sketches are stored
  // in bytes of our own: the library looks for protobufjs only where it would write its own.
  external: ["chdb", "chdb/*", "protobufjs/minimal"],
  // What a pipeline sees must not depend on the directory that the binary is started from.
  compile: { outfile, autoloadDotenv: false, autoloadBunfig: false },
  plugins: [embeddedPiscina, builtInWs, embeddedPipelines]
})
for (const log of result.logs) console.error(String(log))
if (!result.success) process.exit(1)
console.log(outfile)
