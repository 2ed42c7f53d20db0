export * from "./job.ts"
export * from "./metrics.ts"
