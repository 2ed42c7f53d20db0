// The engine's face does not name this port yet; once it does, this file goes and imports come from @headrace/engine.
export * from "../../engine/src/ports/committed-log.ts"
