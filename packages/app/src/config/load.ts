import { dirname, resolve } from "node:path"
import { Effect, Schema } from "effect"
import { pipelineFile } from "../place.ts"
import { type Document, isYaml, readYaml } from "./document.ts"
import { ConfigError } from "./error.ts"
import { explainIssues } from "./explain.ts"
import type { Override } from "./origins.ts"
import { type Flags, fromEnvironment, fromFlags, fromKafkaConfig, withOverrides } from "./overrides.ts"
import { Settings } from "./settings.ts"

/** The settings of one run: `file` is a pipeline's module or name, or a YAML file that says one. */
export const loadSettings = Effect.fnUntraced(function* (file: string, flags: Flags) {
  const path = resolve(file)
  const written = isYaml(path) ? yield* readYaml(path) : { pipeline: pipelineFile(file) }
  const given = [...(yield* fromEnvironment), ...fromFlags(flags)]
  const overrides = (yield* Effect.forEach(given, fromKafkaConfig)).flat()
  const settings = yield* decode(file, withOverrides({ clusters: {}, ...written }, overrides), overrides)
  return { ...settings, pipeline: pipelineFile(settings.pipeline, dirname(path)) }
})

const decode = (file: string, document: Document, overrides: readonly Override[]) =>
  Schema.decodeUnknownEffect(Settings)(document, {
    errors: "all",
    onExcessProperty: "error",
    reportInput: true
  }).pipe(Effect.mapError(error => new ConfigError({ message: explainIssues(file, error.issue, overrides) })))
