export * from "./job.ts"
export * from "./metrics.ts"
export * from "./worker.ts"
