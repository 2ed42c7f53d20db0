export * from "./aggregate.ts"
export * from "./bytes.ts"
export * from "./codec.ts"
export * from "./operator.ts"
