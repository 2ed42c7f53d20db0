import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { findTool, run } from "./tools.ts"

export interface Artifact {
  readonly group: string
  readonly name: string
  readonly version: string
  readonly type?: string
  readonly classifier?: string
}

const plugin = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1"

/**
 * Downloads artifacts, with everything that they depend on unless they are archives, into `directory` by Maven, whose
 * own settings (mirrors, proxies, credentials) apply. Throws MissingTool, or an Error with Maven's last lines.
 */
export async function fetchArtifacts(directory: string, artifacts: readonly Artifact[], what: string): Promise<void> {
  const mvn = findTool("mvn", what)
  mkdirSync(directory, { recursive: true })
  const pom = join(directory, "pom.xml")
  writeFileSync(pom, pomOf(artifacts))
  const goal = [`${plugin}:copy-dependencies`, `-DoutputDirectory=${directory}`, "-DincludeScope=runtime"]
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

function dependencyOf(artifact: Artifact): string {
  const { group, name, version, type, classifier } = artifact
  const extra = `${type ? `<type>${type}</type>` : ""}${classifier ? `<classifier>${classifier}</classifier>` : ""}`
  // An archive has its dependencies inside.
  const alone = type
    ? "<exclusions><exclusion><groupId>*</groupId><artifactId>*</artifactId></exclusion></exclusions>"
    : ""
  const id = `<groupId>${group}</groupId><artifactId>${name}</artifactId><version>${version}</version>`
  return `
    <dependency>${id}${extra}${alone}</dependency>`
}
