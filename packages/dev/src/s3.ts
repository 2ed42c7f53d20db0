import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { cached, cacheRoot, type Log, silent } from "./cache.ts"
import { classArchive, type JavaCommand, lightJvm } from "./java.ts"
import { fetchArchive } from "./maven.ts"
import { freePorts, makeScratch, type ProgramSpec, retryPorts, startServer } from "./process.ts"
import { findJava } from "./tools.ts"

/** S3's protocol on a directory: signatures, ranges and multipart uploads are checked as AWS does. */
const s3ProxyVersion = "4.1.0"

export interface S3Options {
  readonly log?: Log
}

/** A running S3 server with one empty bucket. */
export interface S3 {
  /** `http://127.0.0.1:PORT` */
  readonly endpoint: string
  readonly bucket: string
  readonly region: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The bucket's objects as files. */
  readonly directory: string
  stop(): Promise<void>
}

const BUCKET = "headrace"
const IDENTITY = "development"
const CREDENTIAL = "not-a-secret"

/**
 * Starts s3proxy on a free port and waits until it serves; the first time it is fetched, since only tests want it. It
 * ends when this process does, however that ends. Throws MissingTool, or StartFailed with the end of its log.
 */
export async function startS3(options: S3Options = {}): Promise<S3> {
  const installed = await ensureS3(options.log)
  return retryPorts(() => launch(installed))
}

export interface InstalledS3 {
  readonly java: string
  readonly archive: string
  readonly command: JavaCommand
}

/** Fetches s3proxy and makes its class archive, where the cache lacks them. */
async function ensureS3(log: Log = silent): Promise<InstalledS3> {
  const home = join(cacheRoot(), `s3proxy-${s3ProxyVersion}`)
  const java = await findJava("the S3 server")
  const lib = join(home, "lib")
  if (!existsSync(lib)) log(`fetching s3proxy ${s3ProxyVersion} by Maven`)
  await cached(lib, download)
  const command = commandOf(home, join(lib, `s3proxy-${s3ProxyVersion}-jar-with-dependencies.jar`))
  return { java: java.path, command, archive: await classArchive(command, log) }
}

async function download(directory: string): Promise<void> {
  mkdirSync(directory)
  const artifact = { group: "org.gaul", name: "s3proxy", version: s3ProxyVersion }
  await fetchArchive(directory, { ...artifact, type: "jar", classifier: "jar-with-dependencies" }, "the S3 server")
}

function commandOf(home: string, jar: string): JavaCommand {
  return {
    name: "the S3 server",
    home,
    args: ([port], dataDir) => ["-Xmx256m", "-jar", jar, "--properties", configured(dataDir, port!)],
    ready: ([port]) => answers(port!)
  }
}

/** Writes its settings and makes its bucket, which is a directory. */
function configured(dataDir: string, port: number): string {
  const file = join(dataDir, "s3proxy.properties")
  mkdirSync(join(dataDir, "buckets", BUCKET), { recursive: true })
  const lines = [
    `s3proxy.endpoint=http://127.0.0.1:${port}`,
    "s3proxy.authorization=aws-v2-or-v4",
    `s3proxy.identity=${IDENTITY}`,
    `s3proxy.credential=${CREDENTIAL}`,
    "jclouds.provider=filesystem-nio2",
    `jclouds.filesystem.basedir=${join(dataDir, "buckets")}`
  ]
  writeFileSync(file, lines.join("\n"))
  return file
}

/** Nobody gets in unsigned, but somebody says so. */
async function answers(port: number): Promise<boolean> {
  return fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(5000) }).then(
    async response => {
      await response.arrayBuffer()
      return response.status === 403
    },
    () => false
  )
}

async function launch({ java, archive, command }: InstalledS3): Promise<S3> {
  const port = (await freePorts(1))[0]!
  const scratch = makeScratch("s3")
  const jvm = [...lightJvm, `-XX:SharedArchiveFile=${archive}`, "-Xlog:disable", "-Xlog:all=error:stderr"]
  const spec: ProgramSpec = {
    name: "The S3 server",
    command: [java, ...jvm, ...command.args([port], scratch)],
    logFile: join(scratch, "server.log"),
    scratch
  }
  return Object.assign(await startServer(spec, () => answers(port)), {
    endpoint: `http://127.0.0.1:${port}`,
    bucket: BUCKET,
    region: "us-east-1",
    accessKeyId: IDENTITY,
    secretAccessKey: CREDENTIAL,
    directory: join(scratch, "buckets", BUCKET)
  })
}
