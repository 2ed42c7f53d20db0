import { execFile } from "node:child_process"
import { accessSync, constants } from "node:fs"
import { delimiter, join } from "node:path"

/** Something that must be installed on the machine is missing or too old. The message says what to install and how. */
export class MissingTool extends Error {
  override readonly name = "MissingTool"
  readonly tool: string

  constructor(tool: string, message: string) {
    super(message)
    this.tool = tool
  }
}

const advice = {
  java: [
    "a JDK of version 17 or newer",
    "apt install openjdk-17-jdk-headless | brew install openjdk@21 | sdk install java"
  ],
  mvn: ["Apache Maven", "apt install maven | brew install maven | sdk install maven"],
  cc: ["a C compiler", "apt install build-essential | xcode-select --install"]
} as const

export type Tool = keyof typeof advice

/** The path of the tool: in `$JAVA_HOME/bin` for java, else on PATH. Throws MissingTool. */
export function findTool(tool: Tool, reason: string): string {
  const home = tool === "java" ? process.env.JAVA_HOME : undefined
  const directories = [...(home ? [join(home, "bin")] : []), ...(process.env.PATH ?? "").split(delimiter)]
  const found = directories.map(directory => join(directory || ".", tool)).find(isExecutable)
  if (found) return found
  throw new MissingTool(tool, missing(tool, reason, `"${tool}" is not on PATH`))
}

function missing(tool: Tool, reason: string, what: string): string {
  const [name, how] = advice[tool]
  return `${what}: ${reason} needs ${name}. Install it: ${how}`
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export interface Java {
  readonly path: string
  /** All of `java -version`: archives made by one build of the JVM are of no use to another. */
  readonly version: string
}

let java: Promise<Java> | undefined

/** The JVM to use, checked to be 17 or newer; asked for once a process. Throws MissingTool. */
export function findJava(reason: string): Promise<Java> {
  java ??= askJava(reason).catch(error => {
    java = undefined
    throw error
  })
  return java
}

async function askJava(reason: string): Promise<Java> {
  const path = findTool("java", reason)
  const version = await run(path, ["-version"], { reason })
  const major = Number(/version "(?:1\.)?(\d+)/.exec(version)?.[1] ?? 0)
  if (major < 17) {
    const first = version.split("\n")[0] || "an unknown version"
    throw new MissingTool("java", missing("java", reason, `${path} is too old (${first})`))
  }
  return { path, version }
}

/** Runs a command to its end and gives back what it printed (both streams); throws with its last lines if it failed. */
export function run(
  command: string,
  args: readonly string[],
  options: { readonly reason: string; readonly cwd?: string }
): Promise<string> {
  return new Promise((resolve, reject) => {
    const settings = { maxBuffer: 1 << 26, ...(options.cwd ? { cwd: options.cwd } : {}) }
    const child = execFile(command, [...args], settings, (error, stdout, stderr) => {
      const output = `${stdout}${stderr}`
      if (!error) resolve(output)
      else
        reject(
          new Error(`${options.reason}: ${[command, ...args].join(" ")} failed: ${tail(output) || error.message}`, {
            cause: error
          })
        )
    })
    child.stdin?.end()
  })
}

/** The last lines of a text, for error messages. */
export function tail(text: string, lines = 15): string {
  return text.trim().split("\n").slice(-lines).join("\n")
}
