export * from "./kafka.ts"
export { StartFailed } from "./process.ts"
export { MissingTool } from "./tools.ts"
