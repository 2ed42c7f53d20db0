import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { findTool, run } from "./tools.ts"

/** What Maven Central keeps under group, name and version: a jar unless `type` says otherwise. */
export interface Artifact {
  readonly group: string
  readonly name: string
  readonly version: string
}

const plugin = "org.apache.maven.plugins:maven-dependency-plugin"

/**
 * Downloads jars and everything that they need at run time into `directory` by Maven, whose own settings (mirrors,
 * proxies, credentials) apply. Throws MissingTool, or an Error with Maven's last lines.
 */
export async function fetchJars(directory: string, artifacts: readonly Artifact[], what: string): Promise<void> {
  const mvn = findTool("mvn", what)
  mkdirSync(directory, { recursive: true })
  const pom = join(directory, "pom.xml")
  writeFileSync(pom, pomOf(artifacts))
  const goal = [`${plugin}:3.8.1:copy-dependencies`, `-DoutputDirectory=${directory}`, "-DincludeScope=runtime"]
  await run(mvn, ["-B", "-q", "-f", pom, ...goal], { reason: `downloading ${what}` })
}

function pomOf(artifacts: readonly Artifact[]): string {
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>headrace</groupId><artifactId>fetch</artifactId><version>1</version>
  <dependencies>${artifacts.map(dependencyOf).join("")}
  </dependencies>
</project>
`
}

function dependencyOf({ group, name, version }: Artifact): string {
  const id = `<groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version>`
  return `
    <dependency>${id}</dependency>`
}

/** One file, such as a distribution's archive, by itself. */
export interface Archive extends Artifact {
  readonly type: string
  readonly classifier: string
}

/**
 * Downloads one archive into `directory`. By this old version of the plugin, for it is the last one that fetches a file
 * without reading its pom: a parent of Apicurio's pom is missing in Maven Central.
 */
export async function fetchArchive(directory: string, archive: Archive, what: string): Promise<void> {
  const mvn = findTool("mvn", what)
  const { group, name, version, type, classifier } = archive
  const coordinates = [group, name, version, type, classifier].join(":")
  const goal = [`${plugin}:2.10:copy`, `-Dartifact=${coordinates}`, `-DoutputDirectory=${directory}`]
  // In a directory without a pom: Maven must not take that of some project for its own.
  await run(mvn, ["-B", "-q", ...goal], { reason: `downloading ${what}`, cwd: directory })
}
