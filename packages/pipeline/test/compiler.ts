import { execFile } from "node:child_process"
import { mkdtemp, rm, symlink, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { promisify } from "node:util"

export const ROOT = resolve(import.meta.dirname, "../../..")

const tsconfig = {
  extends: join(ROOT, "tsconfig.json"),
  compilerOptions: {
    paths: {
      "test-events": [join(import.meta.dirname, "payments.ts")],
      "type-tests": [join(import.meta.dirname, "types.test.ts")]
    }
  },
  include: ["*.ts"]
}

/** Runs the real compiler over files in a directory of their own. Gives what it printed. */
export const compile = async (
  files: Readonly<Record<string, string>>,
  ...flags: readonly string[]
): Promise<string> => {
  const directory = await mkdtemp(join(tmpdir(), "headrace-types-"))
  try {
    await symlink(join(ROOT, "node_modules"), join(directory, "node_modules"))
    await writeFile(join(directory, "tsconfig.json"), JSON.stringify(tsconfig))
    for (const [name, text] of Object.entries(files)) await writeFile(join(directory, name), text)
    return await tsc(directory, flags)
  } finally {
    await rm(directory, { recursive: true })
  }
}

/** tsc ends with 1 or 2 where it found errors: that is a result here. */
const tsc = async (directory: string, flags: readonly string[]): Promise<string> => {
  const args = ["-p", directory, "--pretty", "false", ...flags]
  try {
    return (await promisify(execFile)(join(ROOT, "node_modules/.bin/tsc"), args, { cwd: directory })).stdout
  } catch (failure) {
    if (failure instanceof Error && "stdout" in failure && failure.stdout !== "") return String(failure.stdout)
    throw failure
  }
}
