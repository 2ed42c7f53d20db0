import { join } from "node:path"
import { cached, contentKey, type Log } from "./cache.ts"
import { freePorts, makeScratch, type ProgramSpec, removeScratch, startProgram, untilReady } from "./process.ts"
import { findJava } from "./tools.ts"

/** How to run a Java server: everything behind `java` but the archive and the heap. */
export interface JavaCommand {
  readonly name: string
  readonly home: string
  /** Arguments for a start on these ports with this data directory. */
  readonly args: (ports: readonly number[], dataDir: string) => readonly string[]
  readonly ready: (ports: readonly number[]) => Promise<boolean>
}

/** Quick to start and small: no second compiler, the simplest collector. */
export const lightJvm = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"]

/**
 * An archive of the classes that the server loads while it starts (AppCDS), which halves its start: made once for each
 * build of the JVM by one run of the server. Returns its path.
 */
export async function classArchive(command: JavaCommand, log: Log): Promise<string> {
  const java = await findJava(command.name)
  const path = join(command.home, `classes-${contentKey(java.version)}.jsa`)
  return cached(path, async temporary => {
    log(`making the class archive of ${command.name}`)
    const dataDir = makeScratch("archive")
    try {
      const ports = await freePorts(2)
      const args = [...lightJvm, "-Xlog:cds=off", "-Xlog:cds+dynamic=off", `-XX:ArchiveClassesAtExit=${temporary}`]
      const spec: ProgramSpec = {
        name: command.name,
        command: [java.path, ...args, ...command.args(ports, dataDir)],
        logFile: join(dataDir, "server.log"),
        scratch: dataDir
      }
      const program = await startProgram(spec)
      await untilReady(program, spec, () => command.ready(ports))
      // Writing the archive takes some seconds after SIGTERM, more than stop() would wait for on a busy machine.
      process.kill(program.pid, "SIGTERM")
      await program.ended
    } finally {
      removeScratch(dataDir)
    }
  })
}
