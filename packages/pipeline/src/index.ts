export * from "./plan.ts"
