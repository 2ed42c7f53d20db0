import { spawnSync } from "node:child_process"
import { mkdirSync, rmSync, statfsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { spawn } from "bun"

const CLOCK = fileURLToPath(new URL("./native/clock.c", import.meta.url))
const DISK_BYTES = 1 << 30

/** A small file system of its own in memory, which can be filled to the last byte. */
export class Disk {
  /** Where checkpoints go. */
  readonly directory: string
  private readonly mounted: string | undefined

  /** Without the right to mount one, checkpoints go to an ordinary directory, and it cannot be filled. */
  constructor(within: string) {
    this.directory = join(within, "checkpoints")
    mkdirSync(this.directory)
    const options = ["-t", "tmpfs", "-o", `size=${DISK_BYTES}`, "headrace-chaos", this.directory]
    this.mounted = spawnSync("mount", options).status === 0 ? this.directory : undefined
    process.once("exit", this.close)
  }

  /** No byte more can be written. Rejects where that cannot be had. */
  async fill(): Promise<void> {
    if (this.mounted === undefined) throw new Error("a disk of its own needs the right to mount a tmpfs: run as root")
    await spawn(["dd", "if=/dev/zero", `of=${this.filler}`, "bs=1M"], { stderr: "ignore" }).exited
    const { bavail } = statfsSync(this.directory)
    if (bavail > 0) throw new Error(`the disk has ${bavail} blocks left`)
  }

  free(): void {
    rmSync(this.filler, { force: true })
  }

  readonly close = (): void => {
    process.off("exit", this.close)
    if (this.mounted !== undefined) spawnSync("umount", ["--lazy", this.mounted])
  }

  private get filler(): string {
    return join(this.directory, "filler")
  }
}

/** The wall clock of single processes, by a library of ours between them and libc. */
export class Clocks {
  private readonly library: string

  constructor(directory: string) {
    this.directory = directory
    this.library = join(directory, "clock.so")
    const made = spawnSync("cc", ["-O2", "-shared", "-fPIC", "-o", this.library, CLOCK, "-ldl"], { encoding: "utf8" })
    if (made.status !== 0) throw new Error(`stepping clocks needs a C compiler: ${made.stderr || made.error?.message}`)
  }
  private readonly directory: string

  /** For the environment of a process whose clock is to be stepped. */
  environment(name: string): Record<string, string> {
    writeFileSync(this.fileOf(name), Buffer.alloc(8))
    return { LD_PRELOAD: this.library, CHAOS_CLOCK: this.fileOf(name) }
  }

  /** From now on its clock is off by so many ms. */
  step(name: string, ms: number): void {
    const bytes = Buffer.alloc(8)
    bytes.writeBigInt64LE(BigInt(ms))
    // In place: the process has the file in its memory.
    writeFileSync(this.fileOf(name), bytes, { flag: "r+" })
  }

  private fileOf(name: string): string {
    return join(this.directory, `${name}.clock`)
  }
}
