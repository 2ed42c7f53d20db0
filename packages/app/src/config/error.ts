import { Schema } from "effect"

/** Something that was given by flag, environment or file is wrong. Shown to the user as it is. */
export class ConfigError extends Schema.TaggedError<ConfigError>()("ConfigError", { message: Schema.String }) {}
